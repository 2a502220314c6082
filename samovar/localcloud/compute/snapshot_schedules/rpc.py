"""The RPCs of yandex.cloud.compute for snapshot schedules."""

from __future__ import annotations

from google.protobuf.message import Message
from yandex.cloud.compute.v1 import snapshot_schedule_service_pb2 as rpc
from yandex.cloud.compute.v1.snapshot_schedule_pb2 import SnapshotSchedule
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.snapshot_schedules.model import SnapshotSchedules, check_policy
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import fill, stamp, update
from samovar.localcloud.resources.rpc import WithAccessBindings, WithOperations, page


class SnapshotScheduleService(WithOperations[SnapshotSchedule], WithAccessBindings[SnapshotSchedule]):
    """A schedule is ACTIVE from its creation on. Its controller takes the snapshots."""

    def __init__(self, schedules: SnapshotSchedules, operations: Operations) -> None:
        super().__init__(schedules, operations)
        self._schedules = schedules

    def Create(self, request: rpc.CreateSnapshotScheduleRequest, caller: Caller) -> Operation:
        self.resources.admit(request.folder_id, request.name)
        check_policy(request.schedule_policy)
        schedule = SnapshotSchedule(id=self.resources.new_id(), status=SnapshotSchedule.ACTIVE)
        fill(schedule, request)
        stamp(schedule)
        self._schedules.attach(schedule.id, list(request.disk_ids))
        metadata = rpc.CreateSnapshotScheduleMetadata(snapshot_schedule_id=schedule.id)
        return self.stored(caller, "Create snapshot schedule", metadata, schedule)

    def Update(self, request: rpc.UpdateSnapshotScheduleRequest, caller: Caller) -> Operation:
        schedule = self.find(request)
        paths = update(schedule, request, self.id_field)
        check_policy(schedule.schedule_policy)
        if "retention_policy" in paths:
            schedule.ClearField("retention_policy")
        self.resources.claim_name(schedule.folder_id, schedule.name, schedule.id)
        metadata = rpc.UpdateSnapshotScheduleMetadata(snapshot_schedule_id=schedule.id)
        return self.stored(caller, "Update snapshot schedule", metadata, schedule)

    def Delete(self, request: rpc.DeleteSnapshotScheduleRequest, caller: Caller) -> Operation:
        """Leave the snapshots that the schedule took."""
        schedule = self.find(request)
        self.resources.delete(schedule.id)
        metadata = rpc.DeleteSnapshotScheduleMetadata(snapshot_schedule_id=schedule.id)
        return self.operations.deleted(caller, "Delete snapshot schedule", metadata)

    def UpdateDisks(self, request: rpc.UpdateSnapshotScheduleDisksRequest, caller: Caller) -> Operation:
        schedule = self.find(request)
        kept = [disk.id for disk in self._schedules.disks(schedule.id) if disk.id not in request.remove]
        self._schedules.attach(schedule.id, [*kept, *request.add])
        metadata = rpc.UpdateSnapshotScheduleDisksMetadata(snapshot_schedule_id=schedule.id)
        return self.stored(caller, "Update disks of snapshot schedule", metadata, schedule)

    def Disable(self, request: rpc.DisableSnapshotScheduleRequest, caller: Caller) -> Operation:
        schedule = self.find(request)
        schedule.status = SnapshotSchedule.INACTIVE
        metadata = rpc.DisableSnapshotScheduleMetadata(snapshot_schedule_id=schedule.id)
        return self.stored(caller, "Disable snapshot schedule", metadata, schedule)

    def Enable(self, request: rpc.EnableSnapshotScheduleRequest, caller: Caller) -> Operation:
        schedule = self.find(request)
        schedule.status = SnapshotSchedule.ACTIVE
        metadata = rpc.EnableSnapshotScheduleMetadata(snapshot_schedule_id=schedule.id)
        return self.stored(caller, "Enable snapshot schedule", metadata, schedule)

    def ListSnapshots(self, request: rpc.ListSnapshotScheduleSnapshotsRequest, _: Caller) -> Message:
        return page(request, self._schedules.snapshots(self.find(request).id))

    def ListDisks(self, request: rpc.ListSnapshotScheduleDisksRequest, _: Caller) -> Message:
        return page(request, self._schedules.disks(self.find(request).id))

    def stored(self, caller: Caller, description: str, metadata: Message, resource: SnapshotSchedule) -> Operation:
        """Plan the next snapshots as well."""
        if not resource.schedule_policy.HasField("start_at"):
            resource.schedule_policy.start_at.CopyFrom(resource.created_at)  # as the provider's test of it expects
        operation = super().stored(caller, description, metadata, resource)
        self._schedules.plan_next(resource)
        return operation


SERVICES = (
    Service(
        rpc,
        "compute",
        lambda context: SnapshotScheduleService(SnapshotSchedules(context.store), context.operations),
        SnapshotSchedules,
    ),
)
