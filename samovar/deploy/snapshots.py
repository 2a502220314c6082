"""An environment's data disks, their snapshots, and the way back from one: found by labels, as all else.

Snapshots are backups, so no rollout and no destruction deletes one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from typing_extensions import TypedDict
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.disk_service_pb2 import DeleteDiskRequest, ListDisksRequest
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.compute.v1.snapshot_service_pb2 import (
    CreateSnapshotRequest,
    DeleteSnapshotRequest,
    ListSnapshotsRequest,
)
from yandex.cloud.compute.v1.snapshot_service_pb2_grpc import SnapshotServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.labels import ENV, GROUP, is_of, of_environment
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.core.errors import ConfigError
from samovar.deploy.resources.disk import disk_name, snapshot_name


class DiskJson(TypedDict):
    """A data disk; `snapshot` is the id of the one that it was made from, sizes are in bytes."""

    name: str
    id: str
    group: str
    status: str
    size: int
    attached: bool
    snapshot: str


class SnapshotJson(TypedDict):
    """A snapshot: `size` is that of a disk made from it, `stored` what it takes, both in bytes."""

    name: str
    id: str
    group: str
    status: str
    created: str
    size: int
    stored: int
    disk: str


class DisksJson(TypedDict):
    """The data disks of an environment and their snapshots, the oldest first."""

    environment: str
    disks: list[DiskJson]
    snapshots: list[SnapshotJson]


def data_disks(session: Session, environment: str) -> list[Disk]:
    """Those with the environment's labels, in use or not, by name."""
    request = ListDisksRequest(folder_id=session.folder_id)
    found = session.list(session.client(DiskServiceStub).List, request, lambda page: page.disks)
    return sorted((disk for disk in found if is_of(disk.labels, environment)), key=lambda disk: disk.name)


def snapshots(session: Session, environment: str) -> list[Snapshot]:
    """Those with the environment's labels, the oldest first."""
    request = ListSnapshotsRequest(folder_id=session.folder_id)
    found = session.list(session.client(SnapshotServiceStub).List, request, lambda page: page.snapshots)
    ours = (snapshot for snapshot in found if is_of(snapshot.labels, environment))
    return sorted(ours, key=lambda snapshot: (snapshot.created_at.ToNanoseconds(), snapshot.name))


def find_snapshot(session: Session, environment: str, wanted: str) -> Snapshot:
    """By name or id; ConfigError lists those that there are."""
    found = snapshots(session, environment)
    for snapshot in found:
        if wanted in {snapshot.name, snapshot.id}:
            return snapshot
    known = ", ".join(snapshot.name for snapshot in found) or "none"
    raise ConfigError(f"{environment} has no snapshot {wanted}", remedy=f"snapshots of {environment}: {known}")


def begin_snapshot(session: Session, environment: str, disk: Disk) -> tuple[str, Operation]:
    """Its name, and the operation, whose description says what stands still for how long where the cloud knows that."""
    name = snapshot_name(disk.name, datetime.now(UTC))
    request = CreateSnapshotRequest(
        folder_id=session.folder_id,
        disk_id=disk.id,
        name=name,
        description=f"of the disk {disk.name}",
        labels=of_environment(environment, disk.labels.get(GROUP, "")),
    )
    return name, session.client(SnapshotServiceStub).Create(request)


def find_deletable(session: Session, environment: str, wanted: str) -> Snapshot | Disk:
    """A snapshot, or a disk that another took the place of, by name or id; ConfigError where it is neither."""
    for disk in data_disks(session, environment):
        if wanted in {disk.name, disk.id}:
            if disk.instance_ids or not is_replaced(disk):
                remedy = f"only destroy {environment} --delete-data deletes it"
                raise ConfigError(f"{disk.name} is the data disk of a group of {environment}", remedy=remedy)
            return disk
    return find_snapshot(session, environment, wanted)


def is_replaced(disk: Disk) -> bool:
    """Whether a disk has left its place to another, or never came there."""
    return disk.name != disk_name(disk.labels.get(ENV, ""), disk.labels.get(GROUP, ""))


def begin_deletion(session: Session, found: Snapshot | Disk) -> Operation:
    """For good."""
    operation: Operation
    if isinstance(found, Disk):
        operation = session.client(DiskServiceStub).Delete(DeleteDiskRequest(disk_id=found.id))
    else:
        operation = session.client(SnapshotServiceStub).Delete(DeleteSnapshotRequest(snapshot_id=found.id))
    return operation


def inventory(session: Session, environment: str) -> DisksJson:
    """All of it, as plain values."""
    disks: Any
    taken: Any
    disks, taken = run_concurrently(lambda: data_disks(session, environment), lambda: snapshots(session, environment))
    names = {disk.id: disk.name for disk in disks}
    return {
        "environment": environment,
        "disks": [_disk(disk) for disk in disks],
        "snapshots": list(_snapshots(taken, names)),
    }


def _disk(disk: Disk) -> DiskJson:
    return {
        "name": disk.name,
        "id": disk.id,
        "group": disk.labels.get(GROUP, ""),
        "status": Disk.Status.Name(disk.status),
        "size": disk.size,
        "attached": bool(disk.instance_ids),
        "snapshot": disk.source_snapshot_id,
    }


def _snapshots(found: list[Snapshot], names: dict[str, str]) -> Iterator[SnapshotJson]:
    """With the name of the disk that each was taken of, or its id once it is gone."""
    for snapshot in found:
        yield {
            "name": snapshot.name,
            "id": snapshot.id,
            "group": snapshot.labels.get(GROUP, ""),
            "status": Snapshot.Status.Name(snapshot.status),
            "created": snapshot.created_at.ToJsonString(),
            "size": snapshot.disk_size,
            "stored": snapshot.storage_size,
            "disk": names.get(snapshot.source_disk_id, snapshot.source_disk_id),
        }
