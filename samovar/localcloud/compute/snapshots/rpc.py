"""The RPCs of yandex.cloud.compute for snapshots."""

from __future__ import annotations

from yandex.cloud.compute.v1 import snapshot_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.snapshots.model import TITLE, Snapshots, expected_freeze
from samovar.localcloud.disks.freeze import DEADLINE
from samovar.localcloud.operations.model import Goal, Operations
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import fill, stamp, update
from samovar.localcloud.resources.rpc import WithAccessBindings, WithOperations


class SnapshotService(WithOperations[Snapshot], WithAccessBindings[Snapshot]):
    """A snapshot is CREATING until the controller has made its file."""

    def __init__(self, snapshots: Snapshots, operations: Operations) -> None:
        super().__init__(snapshots, operations)
        self._snapshots = snapshots

    def Create(self, request: rpc.CreateSnapshotRequest, caller: Caller) -> Operation:
        """Describes in the operation how long the machine cannot write."""
        self.resources.admit(request.folder_id, request.name)
        disk = self._source(request.disk_id)
        snapshot = Snapshot(id=self.resources.new_id(), status=Snapshot.CREATING, disk_size=disk.size)
        fill(snapshot, request)
        snapshot.source_disk_id = disk.id
        snapshot.storage_size = self._snapshots.written(disk)
        self.resources.check_sizes(snapshot)
        stamp(snapshot)
        self._snapshots.add(snapshot, disk)
        metadata = rpc.CreateSnapshotMetadata(snapshot_id=snapshot.id, disk_id=disk.id)
        return self.operations.waiting(caller, self._title(disk, snapshot), metadata, snapshot, Goal.READY)

    def Update(self, request: rpc.UpdateSnapshotRequest, caller: Caller) -> Operation:
        snapshot = self.find(request)
        update(snapshot, request, self.id_field)
        self.resources.claim_name(snapshot.folder_id, snapshot.name, snapshot.id)
        self.resources.put(snapshot)
        metadata = rpc.UpdateSnapshotMetadata(snapshot_id=snapshot.id)
        return self.operations.done(caller, "Update snapshot", metadata, snapshot)

    def Delete(self, request: rpc.DeleteSnapshotRequest, caller: Caller) -> Operation:
        snapshot = self.find(request)
        if snapshot.status == Snapshot.CREATING:
            raise precondition(f"Snapshot {snapshot.id} is being created")
        self.resources.delete(snapshot.id)
        metadata = rpc.DeleteSnapshotMetadata(snapshot_id=snapshot.id)
        return self.operations.deleted(caller, "Delete snapshot", metadata)

    def _source(self, disk_id: str) -> Disk:
        disk = self.store.get(Disk, disk_id)
        if disk is None:
            raise not_found("Disk", disk_id)
        if disk.status != Disk.READY:
            raise precondition(f"Disk {disk.id} is {Disk.Status.Name(disk.status)}")
        return disk

    def _title(self, disk: Disk, snapshot: Snapshot) -> str:
        for instance_id in disk.instance_ids:
            instance = self.store.must(Instance, instance_id)
            if instance.status == Instance.RUNNING:
                seconds = expected_freeze(self.store, snapshot.storage_size)
                text = f"{instance.name or instance.id} cannot write to the disk for about {seconds:.1f} s"
                return f"{TITLE}: {text}, at most {DEADLINE:.0f} s"
        return TITLE


SERVICES = (
    Service(
        rpc,
        "compute",
        lambda context: SnapshotService(Snapshots(context.store, context.home), context.operations),
        Snapshots,
    ),
)
