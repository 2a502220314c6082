"""The removal of published images that nothing needs any more."""

from __future__ import annotations

from functools import partial

from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1 import image_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub

from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.images.listing import full_names
from samovar.images.publish import Published, published
from samovar.project.project import Project


def unused(session: Session, project: Project) -> tuple[Published, ...]:
    """Return the images of former content or packages that no disk and no instance group uses."""
    current = frozenset(full_names(project, ()).values())
    used = frozenset().union(*run_concurrently(partial(_of_disks, session), partial(_of_groups, session)))
    return tuple(image for image in published(session) if image.name not in current and image.id not in used)


def delete(session: Session, image: Published) -> None:
    """Delete an image; the cloud refuses where something came to use it meanwhile."""
    request = rpc.DeleteImageRequest(image_id=image.id)
    session.finish(session.client(ImageServiceStub).Delete(request), what=f"delete {image.name}")


def _of_disks(session: Session) -> frozenset[str]:
    request = disks.ListDisksRequest(folder_id=session.folder_id)
    items = session.list(session.client(DiskServiceStub).List, request, lambda page: page.disks)
    return frozenset(disk.source_image_id for disk in items)


def _of_groups(session: Session) -> frozenset[str]:
    request = groups.ListInstanceGroupsRequest(folder_id=session.folder_id, view=groups.FULL)
    items = session.list(session.client(InstanceGroupServiceStub).List, request, lambda page: page.instance_groups)
    return frozenset(image_id for group in items for image_id in _named(group))


def _named(group: InstanceGroup) -> list[str]:
    template = group.instance_template
    specs = (template.boot_disk_spec, *template.secondary_disk_specs)
    return [spec.disk_spec.image_id for spec in specs]
