"""Published images: a baked RAW file becomes an image of the cloud, found by its labels, and is deleted when unused."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1 import image_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.resourcemanager.v1.folder_service_pb2 import ListFoldersRequest
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from samovar.cloud.labels import DATA_FORMAT, DIGEST, IMAGE, MANIFEST, is_ours, is_passing, of_image
from samovar.cloud.local_admin import ImageStorage
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.core.errors import CloudError, ConfigError
from samovar.images.definition import SHORT, family, file_sha256
from samovar.images.store import BakedImage

FORMER = "samovar-former"


@dataclass(frozen=True)
class Published:
    """An image that machines can be made from. `digest` and `manifest` have 12 hex digits; sizes are in bytes.

    `created_at` is a time in RFC 3339. `data_format` is "" where it is not known.
    """

    id: str
    name: str
    image: str
    digest: str
    manifest: str
    size: int
    created_at: str
    min_disk_size: int = 0
    data_format: str = ""


def published(session: Session) -> tuple[Published, ...]:
    """Return every image that was published and is complete, in the order of their names."""
    images = (
        _read(message) for message in _list(session) if message.status == Image.READY and not is_passing(message.labels)
    )
    return tuple(sorted(images, key=lambda image: image.name))


def to_publish(image: BakedImage, there: Collection[Published], *, force: bool, refresh: bool) -> bool:
    """Return whether it has to be published: the cloud lacks it, `force`, or `refresh` and other packages."""
    manifests = {each.manifest for each in there if each.name == image.full_name}
    return force or not manifests or (refresh and image.manifest_digest[:SHORT] not in manifests)


def publish(session: Session, image: BakedImage) -> Published:
    """Put the RAW file into the cloud's storage and make an image of it.

    One that has its name gives it up, but stays: machines run from it, and the next rollout replaces them. A half-made
    image of an earlier run is removed.
    """
    name = image.full_name
    for message in _list(session):
        if message.name == name:
            _make_room(session, message)
    request = rpc.CreateImageRequest(
        folder_id=session.images_folder_id,
        name=name,
        description=image.digest,
        labels=of_image(image.name, image.digest[:SHORT], image.manifest_digest[:SHORT], image.data_format),
        family=family(image.name),
        min_disk_size=image.size,
        uri=require_storage(session).put(file_sha256(image.raw), image.raw),
    )
    done = session.finish(_client(session).Create(request), what=f"create image {name}")
    created = Image()
    if not done.response.Unpack(created):
        raise CloudError(f"create image {name}: the operation {done.id} ended without an image")
    return _read(created)


def _make_room(session: Session, message: Image) -> None:
    if message.status != Image.READY:
        session.finish(
            _client(session).Delete(rpc.DeleteImageRequest(image_id=message.id)), what=f"delete {message.name}"
        )
        return
    mask = FieldMask(paths=["name"])
    request = rpc.UpdateImageRequest(image_id=message.id, update_mask=mask, name=f"{FORMER}-{message.id}")
    session.finish(_client(session).Update(request), what=f"rename {message.name}")


def adopt(session: Session, image_id: str, name: str, labels: Mapping[str, str]) -> None:
    """Give a complete image its name and its labels; one of former packages that has the name gives it up."""
    for message in _list(session):
        if message.name == name and message.id != image_id:
            _make_room(session, message)
    mask = FieldMask(paths=["name", "labels"])
    request = rpc.UpdateImageRequest(image_id=image_id, update_mask=mask, name=name, labels=labels)
    session.finish(_client(session).Update(request), what=f"name {name}")


def unused(session: Session, current: Collection[str]) -> tuple[Published, ...]:
    """Return the published images that no disk and no instance group uses, but for those with a `current` name.

    Machines of every folder of the cloud count that the caller may see: they may share the images.
    """
    folders = _folders(session)
    used = frozenset().union(*run_concurrently(*(partial(_used_in, session, folder) for folder in folders)))
    return tuple(image for image in published(session) if image.name not in current and image.id not in used)


def delete(session: Session, image: Published) -> None:
    """Delete an image; the cloud refuses where something came to use it meanwhile."""
    request = rpc.DeleteImageRequest(image_id=image.id)
    session.finish(session.client(ImageServiceStub).Delete(request), what=f"delete {image.name}")


def _folders(session: Session) -> list[str]:
    request = ListFoldersRequest(cloud_id=session.cloud_id)
    listed = session.list(session.client(FolderServiceStub).List, request, lambda page: page.folders)
    return [folder.id for folder in listed]


def _used_in(session: Session, folder_id: str) -> frozenset[str]:
    return _of_disks(session, folder_id) | _of_groups(session, folder_id)


def _of_disks(session: Session, folder_id: str) -> frozenset[str]:
    request = disks.ListDisksRequest(folder_id=folder_id)
    items = session.list(session.client(DiskServiceStub).List, request, lambda page: page.disks)
    return frozenset(disk.source_image_id for disk in items)


def _of_groups(session: Session, folder_id: str) -> frozenset[str]:
    request = groups.ListInstanceGroupsRequest(folder_id=folder_id, view=groups.FULL)
    items = session.list(session.client(InstanceGroupServiceStub).List, request, lambda page: page.instance_groups)
    return frozenset(image_id for group in items for image_id in _named(group))


def _named(group: InstanceGroup) -> list[str]:
    template = group.instance_template
    specs = (template.boot_disk_spec, *template.secondary_disk_specs)
    return [spec.disk_spec.image_id for spec in specs]


def require_storage(session: Session) -> ImageStorage:
    """Return the storage of RAW files. Raises ConfigError for a cloud that takes none: nothing is baked for it then."""
    if session.image_storage is None:
        raise ConfigError(
            "images of the local builder can be published in a local cloud alone",
            remedy="for any other cloud images are baked with Packer",
        )
    return session.image_storage


def _list(session: Session) -> list[Image]:
    request = rpc.ListImagesRequest(folder_id=session.images_folder_id)
    return [
        message
        for message in session.list(_client(session).List, request, lambda page: page.images)
        if is_ours(message.labels)
    ]


def _client(session: Session) -> ImageServiceStub:
    return session.client(ImageServiceStub)


def _read(message: Image) -> Published:
    labels = message.labels
    size = message.storage_size
    created = message.created_at.ToJsonString()
    image, digest, manifest, data_format = (labels.get(label, "") for label in (IMAGE, DIGEST, MANIFEST, DATA_FORMAT))
    return Published(
        message.id, message.name, image, digest, manifest, size, created, message.min_disk_size, data_format
    )
