"""The RPCs of yandex.cloud.compute for snapshots."""

from __future__ import annotations

from yandex.cloud.compute.v1 import snapshot_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.snapshots.model import TITLE, Snapshots, expected_freeze
from samovar.localcloud.disks.freeze import DEADLINE
from samovar.localcloud.operations.model import Goal, Operations
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import update
from samovar.localcloud.resources.rpc import WithAccessBindings, WithOperations


class SnapshotService(WithOperations[Snapshot], WithAccessBindings[Snapshot]):
    """A snapshot is CREATING until the controller has made its file."""

    def __init__(self, snapshots: Snapshots, operations: Operations) -> None:
        super().__init__(snapshots, operations)
        self._snapshots = snapshots

    def Create(self, request: rpc.CreateSnapshotRequest, caller: Caller) -> Operation:
        """Describe in the operation how long the machine cannot write."""
        snapshot = self._snapshots.make(request)
        metadata = rpc.CreateSnapshotMetadata(snapshot_id=snapshot.id, disk_id=snapshot.source_disk_id)
        return self.operations.waiting(caller, self._title(snapshot), metadata, snapshot, Goal.READY)

    def Update(self, request: rpc.UpdateSnapshotRequest, caller: Caller) -> Operation:
        snapshot = self.find(request)
        update(snapshot, request, self.id_field)
        self.resources.claim_name(snapshot.folder_id, snapshot.name, snapshot.id)
        metadata = rpc.UpdateSnapshotMetadata(snapshot_id=snapshot.id)
        return self.stored(caller, "Update snapshot", metadata, snapshot)

    def Delete(self, request: rpc.DeleteSnapshotRequest, caller: Caller) -> Operation:
        snapshot = self.find(request)
        if snapshot.status == Snapshot.CREATING:
            raise precondition(f"Snapshot {snapshot.id} is being created")
        self.resources.delete(snapshot.id)
        metadata = rpc.DeleteSnapshotMetadata(snapshot_id=snapshot.id)
        return self.operations.deleted(caller, "Delete snapshot", metadata)

    def _title(self, snapshot: Snapshot) -> str:
        for instance_id in self.store.must(Disk, snapshot.source_disk_id).instance_ids:
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
