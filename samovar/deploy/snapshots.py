"""The data disks of an environment and their snapshots, which labels identify.

Snapshots are backups, so no rollout and no destruction deletes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.disk_service_pb2 import DeleteDiskRequest
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.compute.v1.snapshot_service_pb2 import (
    CreateSnapshotRequest,
    DeleteSnapshotRequest,
    ListSnapshotsRequest,
)
from yandex.cloud.compute.v1.snapshot_service_pb2_grpc import SnapshotServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.labels import GROUP, is_of
from samovar.cloud.session import Session
from samovar.core.concurrency import start
from samovar.core.errors import ConfigError, command_line
from samovar.deploy.observe import list_owned
from samovar.deploy.resources.disk import device_of, disk_labels, disk_name, list_disks, snapshot_name
from samovar.deploy.resources.snapshot_schedule import SnapshotScheduleHandler
from samovar.project.environment import Environment


@dataclass(frozen=True)
class DataDisk:
    """A data disk. `snapshot` is the id of the one that it was made from; sizes are in bytes.

    `schedule` is the cron expression by which snapshots of it are taken; null where there is none.
    """

    name: str
    id: str
    group: str
    status: str
    size: int
    attached: bool
    snapshot: str
    schedule: str | None


@dataclass(frozen=True)
class DiskSnapshot:
    """A snapshot. `size` is that of a disk made from it, `stored` what it takes, both in bytes.

    `disk` is the name of the disk that it was taken of, or its id where that is deleted.
    """

    name: str
    id: str
    group: str
    status: str
    created: str
    size: int
    stored: int
    disk: str


@dataclass(frozen=True)
class Inventory:
    """The data disks of an environment and their snapshots, the oldest first."""

    environment: str
    disks: tuple[DataDisk, ...]
    snapshots: tuple[DiskSnapshot, ...]


def data_disks(session: Session, environment: str) -> list[Disk]:
    """Return the disks with the environment's labels, in use or not, by name."""
    return sorted((disk for disk in list_disks(session) if is_of(disk.labels, environment)), key=lambda disk: disk.name)


def snapshots(session: Session, environment: str) -> list[Snapshot]:
    """Return the snapshots with the environment's labels, the oldest first; one without a name is called by its id."""
    request = ListSnapshotsRequest(folder_id=session.folder_id)
    listed = session.list(session.client(SnapshotServiceStub).List, request, lambda page: page.snapshots)
    ours = [snapshot for snapshot in listed if is_of(snapshot.labels, environment)]
    for snapshot in ours:
        snapshot.name = snapshot.name or snapshot.id
    return sorted(ours, key=lambda snapshot: (snapshot.created_at.ToNanoseconds(), snapshot.name))


def find_snapshot(session: Session, environment: str, name: str) -> Snapshot:
    """Return a snapshot by its name or id. ConfigError lists those that exist."""
    existing = snapshots(session, environment)
    for snapshot in existing:
        if name in {snapshot.name, snapshot.id}:
            return snapshot
    names = ", ".join(snapshot.name for snapshot in existing) or "none"
    raise ConfigError(f"{environment} has no snapshot {name}", remedy=f"snapshots of {environment}: {names}")


def begin_snapshot(session: Session, environment: str, disk: Disk) -> tuple[str, Operation]:
    """Return the snapshot's name, and the operation. Its description has the time of the freeze, if known."""
    name = snapshot_name(disk.name, datetime.now(UTC))
    request = CreateSnapshotRequest(
        folder_id=session.folder_id,
        disk_id=disk.id,
        name=name,
        description=f"of the disk {disk.name}",
        labels=disk_labels(environment, disk.labels.get(GROUP, ""), device_of(disk.labels)),
    )
    return name, session.client(SnapshotServiceStub).Create(request)


def find_deletable(session: Session, environment: Environment, name: str) -> Snapshot | Disk:
    """Return a snapshot, or a disk that no group has, by its name or id. Raises ConfigError where it is neither."""
    for disk in data_disks(session, environment.name):
        if name in {disk.name, disk.id}:
            _check_unused(environment, disk)
            return disk
    try:
        return find_snapshot(session, environment.name, name)
    except ConfigError as error:
        message = f"{environment.name} has neither a snapshot nor a data disk {name}"
        remedy = f"`{command_line(f'disk list {environment.name}')}` lists both"
        raise ConfigError(message, remedy=remedy) from error


def _check_unused(environment: Environment, disk: Disk) -> None:
    if disk.name in disk_names(environment):
        remedy = f"only {command_line(f'destroy {environment.name} --delete-data')} deletes it"
        raise ConfigError(f"{disk.name} is a data disk of a group of {environment.name}", remedy=remedy)
    if disk.instance_ids:
        remedy = f"{command_line(f'rollout {environment.name}')}, after which no machine has it"
        raise ConfigError(f"{disk.name} is attached to a machine", remedy=remedy)


def disk_names(environment: Environment, group: str | None = None) -> list[str]:
    """Return the names that the data disks of one group, or of all, have in the cloud."""
    groups = [environment.group(group)] if group else environment.groups
    return [disk_name(environment.name, each.name, device) for each in groups for device in each.data_disks]


def required_disk_names(environment: Environment, group: str | None = None) -> list[str]:
    """Return what `disk_names` does. Raises ConfigError where that is nothing."""
    if names := disk_names(environment, group):
        return names
    owner = f"group {group} of {environment.name}" if group else environment.name
    there = ", ".join(each.name for each in environment.groups if each.data_disks) or "none"
    raise ConfigError(f"{owner} has no data disk", remedy=f"groups with data disks: {there}")


def begin_deletion(session: Session, resource: Snapshot | Disk) -> Operation:
    """Start to delete the snapshot or the disk for good."""
    if isinstance(resource, Disk):
        return session.client(DiskServiceStub).Delete(DeleteDiskRequest(disk_id=resource.id))
    return session.client(SnapshotServiceStub).Delete(DeleteSnapshotRequest(snapshot_id=resource.id))


def inventory(session: Session, environment: str) -> Inventory:
    """Return the data disks and the snapshots of the environment."""
    listed = start(partial(data_disks, session, environment))
    scheduled = start(partial(_expressions, session, environment))
    taken = snapshots(session, environment)
    disks, expressions = listed.result(), scheduled.result()
    names = {disk.id: disk.name for disk in disks}
    return Inventory(
        environment, tuple(_disk(each, expressions) for each in disks), tuple(_snapshot(each, names) for each in taken)
    )


def _expressions(session: Session, environment: str) -> dict[str, str]:
    """Return the cron expression of each disk that has a schedule, by the disk's id."""
    schedules = list_owned(SnapshotScheduleHandler(), session, environment)
    return {disk_id: each.message.schedule_policy.expression for each in schedules for disk_id in each.disks}


def _disk(disk: Disk, expressions: Mapping[str, str]) -> DataDisk:
    return DataDisk(
        name=disk.name,
        id=disk.id,
        group=disk.labels.get(GROUP, ""),
        status=Disk.Status.Name(disk.status),
        size=disk.size,
        attached=bool(disk.instance_ids),
        snapshot=disk.source_snapshot_id,
        schedule=expressions.get(disk.id),
    )


def _snapshot(snapshot: Snapshot, disk_names: Mapping[str, str]) -> DiskSnapshot:
    return DiskSnapshot(
        name=snapshot.name,
        id=snapshot.id,
        group=snapshot.labels.get(GROUP, ""),
        status=Snapshot.Status.Name(snapshot.status),
        created=snapshot.created_at.ToJsonString(),
        size=snapshot.disk_size,
        stored=snapshot.storage_size,
        disk=disk_names.get(snapshot.source_disk_id, snapshot.source_disk_id),
    )
