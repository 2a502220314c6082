"""yandex.cloud.compute: snapshots. A snapshot is a RAW file of its own: what its disk held in one moment.

Of a boot disk, which holds what a machine changed on an image, it holds the two together, as an image does.
"""

from __future__ import annotations

from yandex.cloud.compute.v1 import snapshot_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.disks.rpc import BOOT, is_layered
from samovar.localcloud.compute.snapshots.model import expected
from samovar.localcloud.disks.freeze import DEADLINE
from samovar.localcloud.home.home import Home
from samovar.localcloud.operations.model import Goal, Operations
from samovar.localcloud.quota_manager.model import check_sizes
from samovar.localcloud.resources.model import fill, page, stamp, update
from samovar.localcloud.resources.rpc import BoundService
from samovar.localcloud.store.files import delete_on_commit
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store

TITLE = "Create snapshot"


class SnapshotService(BoundService[Snapshot]):
    """The controller makes the files."""

    kind, noun, id_field = Snapshot, "Snapshot", "snapshot_id"

    def __init__(self, store: Store, operations: Operations, home: Home) -> None:
        super().__init__(store, operations)
        self._home = home

    def List(self, request: rpc.ListSnapshotsRequest, _: Caller) -> rpc.ListSnapshotsResponse:
        found = self.store.all(Snapshot, scope=request.folder_id)
        return page(request, rpc.ListSnapshotsResponse(), "snapshots", found)

    def Create(self, request: rpc.CreateSnapshotRequest, caller: Caller) -> Operation:
        """The operation's description says what the machine has to do without meanwhile."""
        self.admit(request.folder_id, request.name)
        disk = self._source(request.disk_id)
        snapshot = Snapshot(id=new_id("snapshot"), status=Snapshot.CREATING, disk_size=disk.size)
        fill(snapshot, request)
        snapshot.source_disk_id = disk.id
        snapshot.storage_size = self._written(disk)
        check_sizes(self.store, snapshot)
        stamp(snapshot)
        self.store.put(snapshot)
        if self._is_boot(disk):
            self.store.note(snapshot.id, BOOT, value=True)
        metadata = rpc.CreateSnapshotMetadata(snapshot_id=snapshot.id, disk_id=disk.id)
        return self.operations.waiting(caller, self._title(disk, snapshot), metadata, snapshot, Goal.READY)

    def Update(self, request: rpc.UpdateSnapshotRequest, caller: Caller) -> Operation:
        snapshot = self.find(request)
        update(snapshot, request, self.id_field)
        self.claim_name(snapshot.folder_id, snapshot.name, snapshot.id)
        self.store.put(snapshot)
        metadata = rpc.UpdateSnapshotMetadata(snapshot_id=snapshot.id)
        return self.operations.done(caller, "Update snapshot", metadata, snapshot)

    def Delete(self, request: rpc.DeleteSnapshotRequest, caller: Caller) -> Operation:
        """Yandex Cloud copies a snapshot into a disk; here a boot disk stands on it, as on an image."""
        snapshot = self.find(request)
        if snapshot.status == Snapshot.CREATING:
            raise precondition(f"Snapshot {snapshot.id} is being created")
        boot = self.store.noted(snapshot.id, BOOT, default=False)
        made = [disk for disk in self.store.all(Disk) if disk.source_snapshot_id == snapshot.id]
        if used := [disk.id for disk in made if boot or disk.status == Disk.CREATING]:
            raise precondition(f"Snapshot {snapshot.id} is the base of the disk {used[0]}")
        self.store.delete(Snapshot, snapshot.id)
        delete_on_commit(self.store, self._home.snapshot(snapshot.id))
        metadata = rpc.DeleteSnapshotMetadata(snapshot_id=snapshot.id)
        return self.operations.gone(caller, "Delete snapshot", metadata)

    def ListOperations(
        self, request: rpc.ListSnapshotOperationsRequest, _: Caller
    ) -> rpc.ListSnapshotOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, rpc.ListSnapshotOperationsResponse(), "operations", found)

    def _source(self, disk_id: str) -> Disk:
        disk = self.store.get(Disk, disk_id)
        if disk is None:
            raise not_found("Disk", disk_id)
        if disk.status != Disk.READY:
            raise precondition(f"Disk {disk.id} is {Disk.Status.Name(disk.status)}")
        return disk

    def _is_boot(self, disk: Disk) -> bool:
        return is_layered(self.store, disk)

    def _written(self, disk: Disk) -> int:
        """Bytes that the disk holds now."""
        file = self._home.disk(disk.id)
        return file.stat().st_blocks * 512 if file.exists() else 0

    def _title(self, disk: Disk, snapshot: Snapshot) -> str:
        for instance_id in disk.instance_ids:
            instance = self.store.must(Instance, instance_id)
            if instance.status == Instance.RUNNING:
                seconds = expected(self.store, snapshot.storage_size)
                text = f"{instance.name or instance.id} cannot write to the disk for about {seconds:.1f} s"
                return f"{TITLE}: {text}, at most {DEADLINE:.0f} s"
        return TITLE
