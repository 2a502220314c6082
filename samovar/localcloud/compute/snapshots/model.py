"""Snapshots in the store and their files. A snapshot is a RAW file of its own: what its disk held in one moment.

A snapshot of a boot disk holds the disk's changes and its image together, as an image does.
"""

from __future__ import annotations

from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.compute.v1.snapshot_service_pb2 import CreateSnapshotRequest

from samovar.core.constants import GIB
from samovar.core.files import bytes_written
from samovar.localcloud.api.errors import precondition
from samovar.localcloud.compute.disks.model import BOOT, is_being_taken, is_layered
from samovar.localcloud.home.home import Home
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository, check_status, fill, require, stamp
from samovar.localcloud.store.files import delete_on_commit
from samovar.localcloud.store.store import NoteKey, Store

TITLE = "Create snapshot"
COPY_RATE = ("snapshots", NoteKey[float]("standstill.rate"))
DEFAULT_COPY_RATE = 400e6
"""Bytes of a disk that are looked through in a second, where no snapshot was taken in this home yet."""
MIN_FREEZE = 0.1
"""Seconds that freezing takes, however little there is to copy."""


class Snapshots(Repository[Snapshot]):
    """The snapshots of all disks."""

    kind, id_prefix = Snapshot, "fd8"
    count_quota = Quota("compute.snapshots.count", Snapshot, 32)
    size_quotas = (Quota("compute.snapshots.size", Snapshot, 400 * GIB, lambda snapshot: snapshot.disk_size),)
    """A snapshot counts with the size of its disk, however little it holds (documentation, compute/qa/disks)."""

    def __init__(self, store: Store, home: Home) -> None:
        super().__init__(store)
        self._home = home

    def make(self, request: CreateSnapshotRequest) -> Snapshot:
        """Return a new snapshot of a disk, which is CREATING; the controller makes its file."""
        self.admit(request.folder_id, request.name)
        disk = self._source(request.disk_id)
        snapshot = Snapshot(id=self.new_id(), status=Snapshot.CREATING, disk_size=disk.size)
        fill(snapshot, request)
        snapshot.source_disk_id = disk.id
        snapshot.storage_size = bytes_written(self._home.disk(disk.id))
        self.check_sizes(snapshot)
        stamp(snapshot)
        self.put(snapshot)
        if is_layered(self.store, disk):
            self.store.note(snapshot.id, BOOT, value=True)
        return snapshot

    def delete(self, resource_id: str) -> None:
        """Delete a snapshot, and its file once that is committed.

        Yandex Cloud copies a snapshot into a disk; here a boot disk is a layer on it, as on an image.
        """
        boot = self.store.noted(resource_id, BOOT, default=False)
        disks = [disk for disk in self.store.all(Disk) if disk.source_snapshot_id == resource_id]
        if users := [disk.id for disk in disks if boot or disk.status == Disk.CREATING]:
            raise precondition(f"Snapshot {resource_id} is the base of the disk {users[0]}")
        super().delete(resource_id)
        delete_on_commit(self.store, self._home.snapshot(resource_id))

    def _source(self, disk_id: str) -> Disk:
        """Refuse a disk of which a snapshot is being taken (documentation, compute/concepts/snapshot)."""
        disk = require(self.store, Disk, disk_id)
        check_status(disk, Disk.READY)
        if others := [each.id for each in self.store.all(Snapshot) if is_being_taken(each, disk)]:
            raise precondition(f"Disk {disk.id} is the source of the snapshot {others[0]}, which is being created")
        return disk


def expected_freeze(store: Store, size: int) -> float:
    """Return the seconds for which a machine cannot write while a disk that holds `size` bytes is copied."""
    return MIN_FREEZE + size / (store.noted(*COPY_RATE, 0.0) or DEFAULT_COPY_RATE)


def remember_freeze(store: Store, size: int, seconds: float) -> None:
    """Store the rate of a copy of `size` bytes; a disk that holds nothing, or next to nothing, shows none."""
    if size and seconds > MIN_FREEZE:
        store.note(*COPY_RATE, size / (seconds - MIN_FREEZE / 2))
