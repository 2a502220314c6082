"""yandex.cloud.compute: disks. A disk is a sparse RAW file; one made from an image holds what changed on top of it.

So does one made from a snapshot of a boot disk. One made from a snapshot of another disk is a copy of it.
"""

from __future__ import annotations

import os
from pathlib import Path

from yandex.cloud.compute.v1 import disk_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.core.units import GIB
from samovar.localcloud.api.errors import invalid, not_found, precondition, unimplemented
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.home.home import Home
from samovar.localcloud.operations.model import Goal, Operations
from samovar.localcloud.quota_manager.model import check_sizes
from samovar.localcloud.resources.model import fill, page, stamp, update
from samovar.localcloud.resources.rpc import BoundService
from samovar.localcloud.store.files import delete_on_commit, name_on_commit, partial_of
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store

DEFAULT_TYPE, DEFAULT_BLOCK = "network-hdd", 4096
DEFAULT_SIZE = 10 * GIB
WHOLE = "disk.whole"
"""A note: the disk's file holds all of the image that it was made from."""
SOURCE_DISK = "image.source_disk"
"""A note: the disk that an image is made from."""
BOOT = "snapshot.boot"
"""A note: the snapshot is of a boot disk, and can be the base of one, as an image."""


def is_layered(store: Store, disk: Disk) -> bool:
    """Whether a disk's file holds no more than what was changed on an image, or on a snapshot of a boot disk."""
    return has_base(store, disk) and not store.noted(disk.id, WHOLE, default=False)


def has_base(store: Store, disk: Disk) -> bool:
    """Whether a disk was made from an image, or from a snapshot of a boot disk."""
    return bool(disk.source_image_id or store.noted(disk.source_snapshot_id, BOOT, default=False))


class DiskService(BoundService[Disk]):
    """The one place where disks come and go; instances make theirs through it."""

    kind, noun, id_field = Disk, "Disk", "disk_id"

    def __init__(self, store: Store, operations: Operations, home: Home) -> None:
        super().__init__(store, operations)
        self._home = home

    def List(self, request: rpc.ListDisksRequest, _: Caller) -> rpc.ListDisksResponse:
        found = self.store.all(Disk, scope=request.folder_id)
        return page(request, rpc.ListDisksResponse(), "disks", found)

    def Create(self, request: rpc.CreateDiskRequest, caller: Caller) -> Operation:
        """One from a public image whose file is not there yet is ready once that is made."""
        disk = self.make(request)
        metadata = rpc.CreateDiskMetadata(disk_id=disk.id)
        if disk.status == Disk.READY:
            return self.operations.done(caller, "Create disk", metadata, disk)
        first = f"first the public image {disk.source_image_id} is made here, half a minute or more"
        title = f"Create disk: {first if disk.source_image_id else 'the snapshot is copied'}"
        return self.operations.waiting(caller, title, metadata, disk, Goal.READY)

    def make(self, request: rpc.CreateDiskRequest) -> Disk:
        """A new disk, blank, from an image or from a snapshot."""
        self.admit(request.folder_id, request.name)
        disk = Disk(id=new_id("disk"), status=Disk.READY)
        fill(disk, request)
        disk.type_id = disk.type_id or DEFAULT_TYPE
        disk.block_size = disk.block_size or DEFAULT_BLOCK
        source = request.WhichOneof("source")
        if source == "image_id":
            self._stand_on(disk, request.image_id)
        elif source == "snapshot_id":
            self._copy(disk, request.snapshot_id)
        elif source:
            raise unimplemented(f"a disk made from {source}")
        disk.size = disk.size or DEFAULT_SIZE
        check_sizes(self.store, disk)
        if not source:
            self._make_blank(self._home.disk(disk.id), disk.size)
        stamp(disk)
        self.store.put(disk)
        return disk

    def Update(self, request: rpc.UpdateDiskRequest, caller: Caller) -> Operation:
        disk = self.find(request)
        size = disk.size
        update(disk, request, self.id_field)
        wanted, disk.size = disk.size, size
        if wanted not in {0, size}:
            self._grow(disk, wanted)
        self.claim_name(disk.folder_id, disk.name, disk.id)
        self.store.put(disk)
        return self.operations.done(caller, "Update disk", rpc.UpdateDiskMetadata(disk_id=disk.id), disk)

    def Delete(self, request: rpc.DeleteDiskRequest, caller: Caller) -> Operation:
        disk = self.find(request)
        if disk.instance_ids:
            raise precondition(f"Disk {disk.id} is attached to the instance {disk.instance_ids[0]}")
        if making := [image.id for image in self.store.all(Image) if self._is_source(disk, image)]:
            raise precondition(f"Disk {disk.id} is the source of the image {making[0]}, which is being created")
        if taking := [each.id for each in self.store.all(Snapshot) if _is_being_taken(each, disk)]:
            raise precondition(f"Disk {disk.id} is the source of the snapshot {taking[0]}, which is being created")
        self.drop(disk.id)
        return self.operations.gone(caller, "Delete disk", rpc.DeleteDiskMetadata(disk_id=disk.id))

    def ListOperations(self, request: rpc.ListDiskOperationsRequest, _: Caller) -> rpc.ListDiskOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, rpc.ListDiskOperationsResponse(), "operations", found)

    def attach(self, disk_id: str, instance_id: str, *, boot: bool = False) -> Disk:
        """A boot disk holds what was changed on its image, any other disk all of it: one cannot become the other."""
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
        whole = self.store.noted(disk.id, WHOLE, default=False)
        if based and boot == whole and (whole or self._home.disk(disk.id).exists()):
            raise unimplemented("a boot disk as a further disk, or the other way round,")
        if based and not boot:
            self.store.note(disk.id, WHOLE, value=True)
        disk.instance_ids.append(instance_id)
        self.store.put(disk)
        return disk

    def detach(self, disk_id: str, *, delete: bool) -> None:
        """Frees a disk of its instance; with `delete` nothing of it stays."""
        disk = self.store.get(Disk, disk_id)
        if disk is None:
            return
        if delete:
            self.drop(disk_id)
        else:
            del disk.instance_ids[:]
            self.store.put(disk)

    def drop(self, disk_id: str) -> None:
        self.store.delete(Disk, disk_id)
        delete_on_commit(self.store, self._home.disk(disk_id))

    def enlarge(self, disk_id: str, size: int) -> None:
        """Gives a disk that nobody uses now at least this size."""
        disk = self.by_id(disk_id)
        if size > disk.size:
            self._grow(disk, size)
            self.store.put(disk)

    def _make_blank(self, path: Path, size: int) -> None:
        name_on_commit(self.store, path)
        with partial_of(path).open("xb") as file:
            os.truncate(file.fileno(), size)

    def _grow(self, disk: Disk, size: int) -> None:
        """The guest grows the file system; a machine sees the new size when it starts."""
        if size < disk.size:
            raise invalid(f"the size of a disk cannot be reduced from {disk.size} to {size}", "size")
        check_sizes(self.store, Disk(type_id=disk.type_id, size=size - disk.size))
        if has_base(self.store, disk) or disk.status != Disk.READY:
            raise unimplemented("a change of the size of a disk that was made from an image, or is being made,")
        for instance_id in disk.instance_ids:
            if self.store.must(Instance, instance_id).status != Instance.STOPPED:
                raise precondition(f"Disk {disk.id} is attached to the instance {instance_id}, which is not stopped")
        os.truncate(self._home.disk(disk.id), size)
        disk.size = size

    def _stand_on(self, disk: Disk, image_id: str) -> None:
        image = self.store.get(Image, image_id)
        if image is None:
            raise not_found("Image", image_id)
        disk.size = disk.size or image.min_disk_size
        if disk.size < image.min_disk_size:
            raise invalid(f"the disk's size {disk.size} is less than the image's {image.min_disk_size}", "size")
        if image.status != Image.READY:
            raise precondition(f"Image {image.id} is {Image.Status.Name(image.status)}")
        disk.source_image_id = image_id
        if not self._home.image(image_id).exists():
            disk.status = Disk.CREATING

    def _copy(self, disk: Disk, snapshot_id: str) -> None:
        """The controller makes the file, but for a boot disk's, which is made with its machine."""
        snapshot = self.store.get(Snapshot, snapshot_id)
        if snapshot is None:
            raise not_found("Snapshot", snapshot_id)
        disk.size = disk.size or snapshot.disk_size
        if disk.size < snapshot.disk_size:
            raise invalid(f"the disk's size {disk.size} is less than the snapshot's {snapshot.disk_size}", "size")
        if snapshot.status != Snapshot.READY:
            raise precondition(f"Snapshot {snapshot.id} is {Snapshot.Status.Name(snapshot.status)}")
        disk.source_snapshot_id = snapshot.id
        if not has_base(self.store, disk):
            disk.status = Disk.CREATING

    def _is_source(self, disk: Disk, image: Image) -> bool:
        return image.status == Image.CREATING and self.store.noted(image.id, SOURCE_DISK) == disk.id


def _is_being_taken(snapshot: Snapshot, disk: Disk) -> bool:
    return snapshot.status == Snapshot.CREATING and snapshot.source_disk_id == disk.id
