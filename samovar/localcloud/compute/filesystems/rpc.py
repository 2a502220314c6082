"""The RPCs of yandex.cloud.compute for file systems."""

from __future__ import annotations

from yandex.cloud.compute.v1 import filesystem_service_pb2 as rpc
from yandex.cloud.compute.v1.filesystem_pb2 import Filesystem
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.filesystems.model import Filesystems
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import update
from samovar.localcloud.resources.rpc import WithOperations


class FilesystemService(WithOperations[Filesystem]):
    """File systems are stored; instances are given them by their own service."""

    def __init__(self, filesystems: Filesystems, operations: Operations) -> None:
        super().__init__(filesystems, operations)
        self._filesystems = filesystems

    def Create(self, request: rpc.CreateFilesystemRequest, caller: Caller) -> Operation:
        filesystem = self._filesystems.make(request)
        metadata = rpc.CreateFilesystemMetadata(filesystem_id=filesystem.id)
        return self.operations.done(caller, "Create filesystem", metadata, filesystem)

    def Update(self, request: rpc.UpdateFilesystemRequest, caller: Caller) -> Operation:
        filesystem = self.find(request)
        size = filesystem.size
        update(filesystem, request, self.id_field)
        requested, filesystem.size = filesystem.size, size
        if requested not in {0, size}:
            self._filesystems.resize(filesystem, requested)
        self.resources.claim_name(filesystem.folder_id, filesystem.name, filesystem.id)
        metadata = rpc.UpdateFilesystemMetadata(filesystem_id=filesystem.id)
        return self.stored(caller, "Update filesystem", metadata, filesystem)

    def Delete(self, request: rpc.DeleteFilesystemRequest, caller: Caller) -> Operation:
        filesystem = self.find(request)
        self._filesystems.check_free(filesystem)
        self.resources.delete(filesystem.id)
        metadata = rpc.DeleteFilesystemMetadata(filesystem_id=filesystem.id)
        return self.operations.deleted(caller, "Delete filesystem", metadata)


SERVICES = (
    Service(
        rpc,
        "compute",
        lambda context: FilesystemService(Filesystems(context.store, simulated=context.simulated), context.operations),
        Filesystems,
    ),
)
