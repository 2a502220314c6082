"""File systems in the store. Simulated machines alone have them: a container has no virtiofs."""

from __future__ import annotations

from yandex.cloud.compute.v1 import filesystem_service_pb2 as rpc
from yandex.cloud.compute.v1.filesystem_pb2 import Filesystem
from yandex.cloud.compute.v1.instance_pb2 import AttachedFilesystem, Instance
from yandex.cloud.compute.v1.instance_service_pb2 import AttachedFilesystemSpec

from samovar.core.constants import GIB
from samovar.localcloud.api.errors import invalid, not_found, precondition, unimplemented
from samovar.localcloud.compute.disks.model import DEFAULT_BLOCK, HDD
from samovar.localcloud.compute.zones.model import check_zone
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository, fill, stamp
from samovar.localcloud.store.store import Store


class Filesystems(Repository[Filesystem]):
    """The file systems of a folder, and what has them."""

    kind, id_prefix = Filesystem, "fhm"
    count_quota = Quota("compute.filesystems.count", Filesystem, 100)
    size_quotas = (
        Quota("compute.ssdFilesystems.size", Filesystem, 512 * GIB, lambda each: each.size * (each.type_id != HDD)),
        Quota("compute.hddFilesystems.size", Filesystem, 512 * GIB, lambda each: each.size * (each.type_id == HDD)),
    )

    def __init__(self, store: Store, *, simulated: bool) -> None:
        super().__init__(store)
        self._simulated = simulated

    def make(self, request: rpc.CreateFilesystemRequest) -> Filesystem:
        self.admit(request.folder_id, request.name)
        check_zone(request.zone_id)
        filesystem = Filesystem(id=self.new_id(), status=Filesystem.READY)
        fill(filesystem, request)
        filesystem.type_id = filesystem.type_id or HDD
        filesystem.block_size = filesystem.block_size or DEFAULT_BLOCK
        self.check_sizes(filesystem)
        stamp(filesystem)
        self.put(filesystem)
        return filesystem

    def resize(self, filesystem: Filesystem, size: int) -> None:
        """Make a file system larger."""
        if size < filesystem.size:
            raise invalid(f"the size of a file system cannot be reduced from {filesystem.size} to {size}", "size")
        self.check_sizes(Filesystem(type_id=filesystem.type_id, size=size - filesystem.size))
        filesystem.size = size

    def check_free(self, filesystem: Filesystem) -> None:
        """Refuse a file system that an instance has."""
        for instance in self.store.all(Instance):
            if any(each.filesystem_id == filesystem.id for each in instance.filesystems):
                raise precondition(f"Filesystem {filesystem.id} is attached to the instance {instance.id}")

    def attach(self, instance: Instance, spec: AttachedFilesystemSpec) -> AttachedFilesystem:
        """Add a file system, which must be in the zone of the instance, to its message."""
        if not self._simulated:
            raise unimplemented("a file system on a machine of this host")
        filesystem = self.by_id(spec.filesystem_id)
        if filesystem.zone_id != instance.zone_id:
            raise invalid(f"Filesystem {filesystem.id} is in {filesystem.zone_id}, the instance in {instance.zone_id}")
        name = spec.device_name or filesystem.id
        if any(filesystem.id == each.filesystem_id or name == each.device_name for each in instance.filesystems):
            raise precondition(f"Instance {instance.id} has a file system {name} already")
        instance.filesystems.add(
            mode=AttachedFilesystem.READ_ONLY if spec.mode == spec.READ_ONLY else AttachedFilesystem.READ_WRITE,
            device_name=name,
            filesystem_id=filesystem.id,
        )
        return instance.filesystems[-1]


def attached_to(instance: Instance, named: str) -> AttachedFilesystem:
    """Return the attachment that is named by the file system's id or by its device name. Raises NOT_FOUND."""
    for attached in instance.filesystems:
        if named in (attached.filesystem_id, attached.device_name):
            return attached
    raise not_found("AttachedFilesystem", named)
