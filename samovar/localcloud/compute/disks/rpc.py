"""The RPCs of yandex.cloud.compute for disks."""

from __future__ import annotations

from yandex.cloud.compute.v1 import disk_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.disks.model import Disks
from samovar.localcloud.operations.model import Goal, Operations
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import update
from samovar.localcloud.resources.rpc import WithAccessBindings, WithOperations


class DiskService(WithOperations[Disk], WithAccessBindings[Disk]):
    """A disk whose file takes time to make is CREATING until the controller has made it."""

    def __init__(self, disks: Disks, operations: Operations) -> None:
        super().__init__(disks, operations)
        self._disks = disks

    def Create(self, request: rpc.CreateDiskRequest, caller: Caller) -> Operation:
        disk = self._disks.make(request)
        metadata = rpc.CreateDiskMetadata(disk_id=disk.id)
        if disk.status == Disk.READY:
            return self.operations.done(caller, "Create disk", metadata, disk)
        return self.operations.waiting(caller, "Create disk", metadata, disk, Goal.READY)

    def Update(self, request: rpc.UpdateDiskRequest, caller: Caller) -> Operation:
        disk = self.find(request)
        size = disk.size
        update(disk, request, self.id_field)
        requested, disk.size = disk.size, size
        self.resources.claim_name(disk.folder_id, disk.name, disk.id)
        if requested not in {0, size}:
            self._disks.resize(disk, requested)
        return self.stored(caller, "Update disk", rpc.UpdateDiskMetadata(disk_id=disk.id), disk)

    def Delete(self, request: rpc.DeleteDiskRequest, caller: Caller) -> Operation:
        disk = self.find(request)
        self._disks.check_free(disk)
        self._disks.delete(disk.id)
        return self.operations.deleted(caller, "Delete disk", rpc.DeleteDiskMetadata(disk_id=disk.id))


SERVICES = (
    Service(rpc, "compute", lambda context: DiskService(Disks(context.store, context.home), context.operations), Disks),
)
