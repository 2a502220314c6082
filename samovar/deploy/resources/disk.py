"""Data disks: made apart from the machines, so that they outlive them."""

from __future__ import annotations

from typing import Any, cast

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1 import disk_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_pb2 import Disk as DiskMessage
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.session import Session
from samovar.deploy.foundation_specs import Disk
from samovar.deploy.resources.handler import Begun, Fixed, Names, Work, begun
from samovar.deploy.specs import Existing, Resource


class Disks(Fixed):
    """Blank disks; they can grow."""

    def list(self, session: Session) -> list[Any]:
        request = rpc.ListDisksRequest(folder_id=session.folder_id)
        return session.list(session.client(DiskServiceStub).List, request, "disks")

    def read(self, message: DiskMessage, _: Names) -> Disk:
        return Disk(size=message.size, type=message.type_id, zone=message.zone_id)

    def create(self, work: Work, resource: Resource) -> Begun:
        spec = cast("Disk", resource.spec)
        request = rpc.CreateDiskRequest(
            folder_id=work.session.folder_id,
            name=resource.name,
            labels=work.labels(resource),
            type_id=spec.type,
            zone_id=spec.zone,
            size=spec.size,
        )
        operation = work.session.client(DiskServiceStub).Create(request)
        return begun(operation, rpc.CreateDiskMetadata(), lambda made: made.disk_id)

    def update(self, work: Work, existing: Existing, wanted: Resource, _: tuple[str, ...]) -> Begun:
        request = rpc.UpdateDiskRequest(
            disk_id=existing.id, update_mask=FieldMask(paths=["size"]), size=cast("Disk", wanted.spec).size
        )
        return Begun(existing.id, work.session.client(DiskServiceStub).Update(request))

    def delete(self, session: Session, existing: Existing) -> Operation:
        return session.client(DiskServiceStub).Delete(rpc.DeleteDiskRequest(disk_id=existing.id))
