"""Puts a disk made from a snapshot in the place of a group's data disk. The former one is kept, under another name.

The disk is first created under a name of its own, so that the next restoration goes on with an interrupted one.
"""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.disk_service_pb2 import (
    CreateDiskRequest,
    DeleteDiskRequest,
    GetDiskRequest,
    UpdateDiskRequest,
)
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot

from samovar.cloud.labels import GROUP
from samovar.cloud.session import Session
from samovar.core.constants import GIB
from samovar.core.errors import CloudError, ConfigError
from samovar.core.output import Reporter
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.resources.disk import (
    device_of,
    disk_labels,
    name_by_labels,
    replaced_disk_name,
    restored_disk_name,
)
from samovar.deploy.snapshots import data_disks
from samovar.project.data_disk import DataDisk
from samovar.project.environment import Environment

TIMEOUT = 3600.0


def restore(session: Session, environment: Environment, snapshot: Snapshot, reporter: Reporter) -> str:
    """Return the id of the disk that the next rollout attaches. Raises ConfigError, CloudError."""
    size = _checked_size(environment, snapshot)
    named = {disk.name: disk for disk in data_disks(session, environment.name)}
    current = name_by_labels(snapshot.labels)
    disk = _usable(session, named.get(restored_disk_name(current)), snapshot, size) or _make(
        session, environment, snapshot, size, reporter
    )
    if current in named:
        former = replaced_disk_name(current, datetime.now(UTC))
        _rename(session, named[current], former)
        reporter.info(f"{current} ({named[current].id}) is kept as {former}")
    _rename(session, disk, current)
    reporter.info(f"{current} is {disk.id}, made from {snapshot.name}")
    return disk.id


def _checked_size(environment: Environment, snapshot: Snapshot) -> int:
    """Return the size in the environment's file; a disk must be at least as large as the one of the snapshot."""
    if snapshot.status != Snapshot.READY:
        raise CloudError(f"snapshot {snapshot.name} is {Snapshot.Status.Name(snapshot.status)}")
    desired = _data_disk(environment, snapshot)
    if desired.size < snapshot.disk_size:
        raise ConfigError(
            f"snapshot {snapshot.name} is of a disk of {snapshot.disk_size / GIB:g} GiB, "
            f"and {environment.name} asks for one of {desired.size / GIB:g} GiB",
            remedy=f"write data_disks: {{{device_of(snapshot.labels)}: {{size: {-(-snapshot.disk_size // GIB)}G}}}} "
            "in its config.yaml",
        )
    return desired.size


def _data_disk(environment: Environment, snapshot: Snapshot) -> DataDisk:
    group = environment.group(snapshot.labels.get(GROUP, ""))
    device = device_of(snapshot.labels)
    if device not in group.data_disks:
        message = f"the group {group.name} of {environment.name} has no data disk {device}"
        raise ConfigError(message, remedy=f"write data_disks: {{{device}: ...}} there")
    return group.data_disks[device]


def _usable(session: Session, disk: Disk | None, snapshot: Snapshot, size: int) -> Disk | None:
    """Return a usable disk of an interrupted restoration; delete one that is not usable."""
    if disk is None:
        return None
    disk = _wait_until_ready(session, disk.id)
    if disk.status == Disk.READY and disk.source_snapshot_id == snapshot.id and disk.size == size:
        return disk
    operation = session.client(DiskServiceStub).Delete(DeleteDiskRequest(disk_id=disk.id))
    session.finish(operation, what=f"delete {disk.name}, left by a restoration that was interrupted")
    return None


def _wait_until_ready(session: Session, disk_id: str) -> Disk:
    """Wait until the disk is no longer being created."""
    client = session.client(DiskServiceStub)

    def probe() -> Disk | Pending:
        disk: Disk = client.Get(GetDiskRequest(disk_id=disk_id))
        return Pending("CREATING") if disk.status == Disk.CREATING else disk

    return wait_for(f"disk {disk_id}", probe, timeout=TIMEOUT)


def _make(session: Session, environment: Environment, snapshot: Snapshot, size: int, reporter: Reporter) -> Disk:
    desired = _data_disk(environment, snapshot)
    labels = disk_labels(environment.name, snapshot.labels.get(GROUP, ""), device_of(snapshot.labels))
    request = CreateDiskRequest(
        folder_id=session.folder_id,
        name=restored_disk_name(name_by_labels(snapshot.labels)),
        labels=labels,
        type_id=desired.type,
        zone_id=environment.zones[0],
        size=size,
        snapshot_id=snapshot.id,
    )
    with reporter.step(f"a disk from {snapshot.name}"):
        operation = session.client(DiskServiceStub).Create(request)
        done = session.finish(operation, what=f"a disk from {snapshot.name}", timeout=TIMEOUT)
    return Disk.FromString(done.response.value)


def _rename(session: Session, disk: Disk, name: str) -> None:
    request = UpdateDiskRequest(disk_id=disk.id, name=name, update_mask=FieldMask(paths=["name"]))
    operation = session.client(DiskServiceStub).Update(request)
    session.finish(operation, what=f"rename {disk.name} to {name}")
