"""Snapshot schedules: the cloud takes snapshots of a data disk by the clock, and keeps the last ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1 import snapshot_schedule_service_pb2 as rpc
from yandex.cloud.compute.v1.snapshot_schedule_pb2 import SchedulePolicy, SnapshotSpec
from yandex.cloud.compute.v1.snapshot_schedule_pb2 import SnapshotSchedule as ScheduleMessage
from yandex.cloud.compute.v1.snapshot_schedule_service_pb2_grpc import SnapshotScheduleServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.labels import is_ours
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.deploy.resources.disk import disk_labels
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started, WithMessage, started
from samovar.deploy.resources.resource import Existing, Kind, Ref, Resource, Spec

MASK = {"expression": "schedule_policy", "snapshot_count": "snapshot_count"}
"""The API's field for each field that an update can change."""


@dataclass(frozen=True)
class SnapshotSchedule(Spec):
    """A schedule of one data disk: a cron expression in UTC, and how many snapshots are kept. They outlive it.

    `device` is the name of the disk in its group.
    """

    KIND = Kind.SNAPSHOT_SCHEDULE
    CREATE_ONLY = frozenset({"device"})
    QUOTA = "compute.snapshotSchedules.count"

    disk: str
    expression: str
    snapshot_count: int
    device: str = ""

    def refs(self) -> Iterator[Ref]:
        yield Ref(Kind.DISK, self.disk)

    def quota_demand(self, *, rolling: bool) -> Mapping[str, int]:
        return {**super().quota_demand(rolling=rolling), "compute.snapshots.count": self.snapshot_count}


@dataclass(frozen=True)
class ScheduleWithDisks(WithMessage[ScheduleMessage]):
    """A schedule's message, and the ids of its disks."""

    disks: tuple[str, ...]


class SnapshotScheduleHandler(Handler[SnapshotSchedule, ScheduleWithDisks]):
    """Creates schedules. What the schedule takes has the labels of the disk, by which `disk list` finds it."""

    KIND = Kind.SNAPSHOT_SCHEDULE

    def list(self, session: Session) -> list[ScheduleWithDisks]:
        request = rpc.ListSnapshotSchedulesRequest(folder_id=session.folder_id)
        client = session.client(SnapshotScheduleServiceStub)
        listed = session.list(client.List, request, lambda page: page.snapshot_schedules)
        return run_concurrently(*(partial(_with_disks, session, message) for message in listed))

    def read(self, schedule: ScheduleWithDisks, index: IdIndex) -> SnapshotSchedule:
        return SnapshotSchedule(
            disk=", ".join(sorted(map(index.name_of, schedule.disks))),
            expression=schedule.message.schedule_policy.expression,
            snapshot_count=schedule.message.snapshot_count,
        )

    def create(self, context: Context, resource: Resource[SnapshotSchedule]) -> Started:
        labels = disk_labels(context.environment, resource.group, resource.spec.device)
        request = rpc.CreateSnapshotScheduleRequest(
            folder_id=context.session.folder_id,
            name=resource.name,
            labels=labels,
            schedule_policy=SchedulePolicy(expression=resource.spec.expression),
            snapshot_count=resource.spec.snapshot_count,
            snapshot_spec=SnapshotSpec(description=f"of the disk {resource.spec.disk}", labels=labels),
            disk_ids=[context.id(Kind.DISK, resource.spec.disk)],
        )
        operation = context.session.client(SnapshotScheduleServiceStub).Create(request)
        return started(operation, rpc.CreateSnapshotScheduleMetadata(), lambda metadata: metadata.snapshot_schedule_id)

    def update(
        self,
        context: Context,
        existing: Existing[SnapshotSchedule],
        desired: Resource[SnapshotSchedule],
        fields: tuple[str, ...],
    ) -> Started:
        """Change the policy, and the disk where another one took its place; the change that is awaited is the last."""
        operations = [
            *([_update_disk(context, existing, desired)] if "disk" in fields else []),
            *([_update_policy(context, existing, desired, fields)] if MASK.keys() & set(fields) else []),
        ]
        for operation in operations[:-1]:
            context.session.finish(operation, what=f"update {existing.ref}")
        return Started(existing.id, operations[-1])

    def delete(self, session: Session, existing: Existing[SnapshotSchedule]) -> Operation:
        request = rpc.DeleteSnapshotScheduleRequest(snapshot_schedule_id=existing.id)
        return session.client(SnapshotScheduleServiceStub).Delete(request)


def _with_disks(session: Session, message: ScheduleMessage) -> ScheduleWithDisks:
    """Ask for the disks of our own schedules alone."""
    if not is_ours(message.labels):
        return ScheduleWithDisks(message, ())
    return ScheduleWithDisks(message, tuple(disks_of(session, message.id)))


def disks_of(session: Session, schedule_id: str) -> list[str]:
    """Return the ids of the disks of a schedule."""
    request = rpc.ListSnapshotScheduleDisksRequest(snapshot_schedule_id=schedule_id)
    disks = session.list(session.client(SnapshotScheduleServiceStub).ListDisks, request, lambda page: page.disks)
    return [disk.id for disk in disks]


def _update_disk(
    context: Context, existing: Existing[SnapshotSchedule], desired: Resource[SnapshotSchedule]
) -> Operation:
    disk_id = context.id(Kind.DISK, desired.spec.disk)
    former = [each for each in disks_of(context.session, existing.id) if each != disk_id]
    request = rpc.UpdateSnapshotScheduleDisksRequest(snapshot_schedule_id=existing.id, remove=former, add=[disk_id])
    return context.session.client(SnapshotScheduleServiceStub).UpdateDisks(request)


def _update_policy(
    context: Context,
    existing: Existing[SnapshotSchedule],
    desired: Resource[SnapshotSchedule],
    fields: tuple[str, ...],
) -> Operation:
    request = rpc.UpdateSnapshotScheduleRequest(
        snapshot_schedule_id=existing.id,
        update_mask=FieldMask(paths=[MASK[name] for name in fields if name in MASK]),
        schedule_policy=SchedulePolicy(expression=desired.spec.expression),
        snapshot_count=desired.spec.snapshot_count,
    )
    return context.session.client(SnapshotScheduleServiceStub).Update(request)
