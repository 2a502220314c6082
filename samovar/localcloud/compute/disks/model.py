"""Disks in the store and their files. A disk is a sparse RAW file.

The file of a boot disk that was made from an image, or from a snapshot of a boot disk, holds the changes alone. A disk
made from a snapshot of another disk is a copy of it.
"""

from __future__ import annotations

import os
from pathlib import Path

from yandex.cloud.compute.v1 import disk_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot

from samovar.core.constants import GIB
from samovar.localcloud.api.errors import invalid, precondition, unimplemented
from samovar.localcloud.compute.zones.model import check_disk_type, check_zone
from samovar.localcloud.disks.loop_devices import show_new_size
from samovar.localcloud.home.home import Home
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository, check_status, fill, require, stamp
from samovar.localcloud.store.files import delete_on_commit, name_on_commit, partial_of
from samovar.localcloud.store.store import NoteKey, Store

HDD = "network-hdd"
DEFAULT_TYPE, DEFAULT_BLOCK = HDD, 4096
DEFAULT_SIZE = 10 * GIB
FULL = NoteKey[bool]("disk.whole")
"""A note on a disk: its file holds all of the image that it was made from."""
SOURCE_DISK = NoteKey[str]("image.source_disk")
"""A note on an image: the disk that it is made from."""
BOOT = NoteKey[bool]("snapshot.boot")
"""A note on a snapshot: it is of a boot disk, and can be the base of one, as an image."""


def is_layered(store: Store, disk: Disk) -> bool:
    """Return whether a disk's file holds changes alone, on an image or on a snapshot of a boot disk."""
    return has_base(store, disk) and not store.noted(disk.id, FULL, default=False)


def has_base(store: Store, disk: Disk) -> bool:
    """Return whether a disk was made from an image, or from a snapshot of a boot disk."""
    return bool(disk.source_image_id or store.noted(disk.source_snapshot_id, BOOT, default=False))


class Disks(Repository[Disk]):
    """The one place where disks are made and deleted; instances make theirs through it."""

    kind, id_prefix = Disk, "fhm"
    count_quota = Quota("compute.disks.count", Disk, 32)
    size_quotas = (
        Quota("compute.ssdDisks.size", Disk, 200 * GIB, lambda disk: disk.size * (disk.type_id != HDD)),
        Quota("compute.hddDisks.size", Disk, 500 * GIB, lambda disk: disk.size * (disk.type_id == HDD)),
    )

    def __init__(self, store: Store, home: Home) -> None:
        super().__init__(store)
        self._home = home

    def make(self, request: rpc.CreateDiskRequest) -> Disk:
        """Return a new disk, blank, from an image or from a snapshot."""
        self.admit(request.folder_id, request.name)
        check_zone(request.zone_id)
        disk = Disk(id=self.new_id(), status=Disk.READY)
        fill(disk, request)
        disk.type_id = disk.type_id or DEFAULT_TYPE
        disk.block_size = disk.block_size or DEFAULT_BLOCK
        source = request.WhichOneof("source")
        if source == "image_id":
            self._use_image(disk, request.image_id)
        elif source == "snapshot_id":
            self._use_snapshot(disk, request.snapshot_id)
        elif source:
            raise unimplemented(f"a disk made from {source}")
        disk.disk_placement_policy.SetInParent()  # clients read it without asking
        disk.size = disk.size or DEFAULT_SIZE
        check_disk_type(disk.type_id, disk.size)
        self.check_sizes(disk)
        if not source:
            self._make_blank(self._home.disk(disk.id), disk.size)
        stamp(disk)
        self.put(disk)
        return disk

    def attach(self, disk_id: str, instance_id: str, *, boot: bool = False) -> Disk:
        """Attach a disk. A boot disk's file holds changes alone, another disk's all: neither can become the other."""
        disk = self.by_id(disk_id)
        if disk.instance_ids:
            raise precondition(f"Disk {disk.id} is attached to the instance {disk.instance_ids[0]}")
        if disk.status == Disk.ERROR:
            raise precondition(f"Disk {disk.id} is ERROR")
        based = has_base(self.store, disk)
        if boot and not based:
            raise unimplemented(
                "a boot from a disk that was made neither from an image nor from a boot disk's snapshot"
            )
        full = self.store.noted(disk.id, FULL, default=False)
        if based and boot == full and (full or self._home.disk(disk.id).exists()):
            raise unimplemented("a boot disk as a further disk, or the other way round,")
        if based and not boot:
            self.store.note(disk.id, FULL, value=True)
        disk.instance_ids.append(instance_id)
        self.put(disk)
        return disk

    def detach(self, disk_id: str, *, delete: bool) -> None:
        """Free a disk of its instance; with `delete` the disk goes as well."""
        disk = self.store.get(Disk, disk_id)
        if disk is None:
            return
        if delete:
            self.delete(disk_id)
        else:
            del disk.instance_ids[:]
            self.put(disk)

    def delete(self, resource_id: str) -> None:
        """Delete a disk, and its file once that is committed."""
        super().delete(resource_id)
        delete_on_commit(self.store, self._home.disk(resource_id))

    def enlarge(self, disk_id: str, size: int) -> None:
        """Give a disk that is not in use at least this size."""
        disk = self.by_id(disk_id)
        if size > disk.size:
            self.resize(disk, size)
            self.put(disk)

    def resize(self, disk: Disk, size: int) -> None:
        """Make a disk larger, also one of a running machine, as Yandex Cloud does (docs, disk-control/update).

        The guest grows its file system; that of a boot disk grows when its machine starts.
        """
        if size < disk.size:
            raise invalid(f"the size of a disk cannot be reduced from {disk.size} to {size}", "size")
        check_disk_type(disk.type_id, size)
        self.check_sizes(Disk(type_id=disk.type_id, size=size - disk.size))
        check_status(disk, Disk.READY)
        file = self._home.disk(disk.id)
        if file.exists():  # one that was made from an image comes with its first machine
            os.truncate(file, size)
            show_new_size(file)
        disk.size = size

    def check_free(self, disk: Disk) -> None:
        """Refuse a disk that is being made, that an instance has, or that an image or a snapshot is being made from."""
        if disk.status == Disk.CREATING:
            raise precondition(f"Disk {disk.id} is being created")
        if disk.instance_ids:
            raise precondition(f"Disk {disk.id} is attached to the instance {disk.instance_ids[0]}")
        if images := [image.id for image in self.store.all(Image) if self._is_source(disk, image)]:
            raise precondition(f"Disk {disk.id} is the source of the image {images[0]}, which is being created")
        if snapshots := [each.id for each in self.store.all(Snapshot) if is_being_taken(each, disk)]:
            raise precondition(f"Disk {disk.id} is the source of the snapshot {snapshots[0]}, which is being created")

    def _make_blank(self, path: Path, size: int) -> None:
        name_on_commit(self.store, path)
        with partial_of(path).open("xb") as file:
            os.truncate(file.fileno(), size)

    def _use_image(self, disk: Disk, image_id: str) -> None:
        image = require(self.store, Image, image_id)
        disk.size = disk.size or image.min_disk_size
        if disk.size < image.min_disk_size:
            raise invalid(f"the disk's size {disk.size} is less than the image's {image.min_disk_size}", "size")
        check_status(image, Image.READY)
        disk.source_image_id = image_id
        if not self._home.image(image_id).exists():
            disk.status = Disk.CREATING

    def _use_snapshot(self, disk: Disk, snapshot_id: str) -> None:
        """Leave the file to the controller, but for a boot disk's, which is made with its machine."""
        snapshot = require(self.store, Snapshot, snapshot_id)
        disk.size = disk.size or snapshot.disk_size
        if disk.size < snapshot.disk_size:
            raise invalid(f"the disk's size {disk.size} is less than the snapshot's {snapshot.disk_size}", "size")
        check_status(snapshot, Snapshot.READY)
        disk.source_snapshot_id = snapshot.id
        if not has_base(self.store, disk):
            disk.status = Disk.CREATING

    def _is_source(self, disk: Disk, image: Image) -> bool:
        return image.status == Image.CREATING and self.store.noted(image.id, SOURCE_DISK) == disk.id


def is_being_taken(snapshot: Snapshot, disk: Disk) -> bool:
    """Return whether a snapshot is of this disk and not there yet."""
    return snapshot.status == Snapshot.CREATING and snapshot.source_disk_id == disk.id


def check_stopped(store: Store, disk: Disk) -> None:
    """Refuse a disk of an instance that is not stopped."""
    for instance_id in disk.instance_ids:
        if store.must(Instance, instance_id).status != Instance.STOPPED:
            raise precondition(f"Disk {disk.id} is attached to the instance {instance_id}, which is not stopped")
