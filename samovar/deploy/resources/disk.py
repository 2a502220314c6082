"""Data disks. They are created apart from the machines, so that they outlive them.

Labels say of which group a disk is, by which name a machine finds it, and what becomes of it at a destruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1 import disk_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_pb2 import Disk as DiskMessage
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.labels import DATA_DISK, ENV, GROUP, ON_DESTROY, of_environment
from samovar.cloud.session import Session
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started, started
from samovar.deploy.resources.resource import Existing, Kind, Resource, Spec

TIMESTAMP = "%Y%m%d-%H%M%S"
"""The form of a moment in a name; the API takes 63 characters."""
DEFAULT_NAME = "data"
"""The name of a disk without a label for it: once a group had one disk, and it was called that."""
KEEP, DELETE = "keep", "delete"
MASK = {"size": "size", "on_destroy": "labels"}
"""The API's field for each field that an update can change."""


@dataclass(frozen=True)
class Disk(Spec):
    """A disk that outlives machines, groups and the environment. `size` is in bytes.

    `device` is the name by which a machine finds it; `on_destroy` says whether a destruction keeps or deletes it.
    """

    KIND = Kind.DISK
    CREATE_ONLY = frozenset({"type", "zone", "device"})
    KEPT_ON_DESTROY = True
    IRREPLACEABLE = True
    QUOTA = "compute.disks.count"

    size: int
    type: str
    zone: str
    device: str
    on_destroy: str = KEEP

    @property
    def expendable(self) -> bool:
        return self.on_destroy == DELETE

    def quota_demand(self, *, rolling: bool) -> Mapping[str, int]:
        return {**super().quota_demand(rolling=rolling), disk_space_quota(self.type): self.size}


class DiskHandler(Handler[Disk, DiskMessage]):
    """Creates blank disks; they can grow."""

    KIND = Kind.DISK

    def list(self, session: Session) -> list[DiskMessage]:
        return list_disks(session)

    def read(self, message: DiskMessage, _: IdIndex) -> Disk:
        return Disk(
            size=message.size,
            type=message.type_id,
            zone=message.zone_id,
            device=device_of(message.labels),
            on_destroy=message.labels.get(ON_DESTROY, KEEP),
        )

    def create(self, context: Context, resource: Resource[Disk]) -> Started:
        request = rpc.CreateDiskRequest(
            folder_id=context.session.folder_id,
            name=resource.name,
            labels=_labels(context, resource),
            type_id=resource.spec.type,
            zone_id=resource.spec.zone,
            size=resource.spec.size,
        )
        operation = context.session.client(DiskServiceStub).Create(request)
        return started(operation, rpc.CreateDiskMetadata(), lambda metadata: metadata.disk_id)

    def update(
        self, context: Context, existing: Existing[Disk], desired: Resource[Disk], fields: tuple[str, ...]
    ) -> Started:
        request = rpc.UpdateDiskRequest(
            disk_id=existing.id,
            update_mask=FieldMask(paths=[MASK[name] for name in fields]),
            size=desired.spec.size,
            labels=_labels(context, desired),
        )
        return Started(existing.id, context.session.client(DiskServiceStub).Update(request))

    def delete(self, session: Session, existing: Existing[Disk]) -> Operation:
        return session.client(DiskServiceStub).Delete(rpc.DeleteDiskRequest(disk_id=existing.id))


def _labels(context: Context, resource: Resource[Disk]) -> dict[str, str]:
    labels = disk_labels(context.environment, resource.group, resource.spec.device)
    return {**labels, ON_DESTROY: DELETE} if resource.spec.expendable else labels


def disk_labels(environment: str, group: str, device: str) -> dict[str, str]:
    """Return the labels of a data disk, and of each snapshot of it."""
    return {**of_environment(environment, group), DATA_DISK: device}


def device_of(labels: Mapping[str, str]) -> str:
    """Return the name that a data disk, or that of a snapshot, has in its group."""
    return labels.get(DATA_DISK, DEFAULT_NAME)


def name_by_labels(labels: Mapping[str, str]) -> str:
    """Return the name in the cloud that the data disk of these labels has while it is in use."""
    return disk_name(labels.get(ENV, ""), labels.get(GROUP, ""), device_of(labels))


def list_disks(session: Session) -> list[DiskMessage]:
    """Return all disks of the folder."""
    request = rpc.ListDisksRequest(folder_id=session.folder_id)
    return session.list(session.client(DiskServiceStub).List, request, lambda page: page.disks)


def disk_space_quota(disk_type: str) -> str:
    """Return the id of the quota that counts the bytes of such disks."""
    return "compute.hddDisks.size" if disk_type == "network-hdd" else "compute.ssdDisks.size"


def disk_name(environment: str, group: str, device: str) -> str:
    """Return the name of a group's data disk in the cloud."""
    return f"{environment}-{group}-{device}"


def snapshot_name(disk: str, moment: datetime) -> str:
    """Return the name of a snapshot of a disk, taken at that moment."""
    return f"{disk[:47].rstrip('-')}-{moment:{TIMESTAMP}}"


def restored_disk_name(disk: str) -> str:
    """Return the name of a disk made from a snapshot until it takes the place of a data disk."""
    return f"{disk[:54].rstrip('-')}-restored"


def replaced_disk_name(disk: str, moment: datetime) -> str:
    """Return the name of a former data disk, which was replaced at that moment."""
    return f"{disk[:38].rstrip('-')}-replaced-{moment:{TIMESTAMP}}"
