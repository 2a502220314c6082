"""From a baked RAW file to an image of the cloud, found again by its labels; its name carries its digest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from yandex.cloud.compute.v1 import image_service_pb2 as rpc
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub

from cloud.host import ImageStorage
from cloud.labels import DIGEST, IMAGE, is_ours, of_image
from cloud.session import Session
from images.bakery.digest import SHORT, image_name
from images.bakery.store import BakedImage
from kit.errors import CloudError, ConfigError


@dataclass(frozen=True)
class Published:
    """An image that machines can be made from. `digest` has 12 hex digits; `size` is in bytes."""

    id: str
    name: str
    image: str
    digest: str
    size: int
    created_at: datetime


def published(session: Session) -> tuple[Published, ...]:
    """Every image that we published and that is ready, by name."""
    images = (_read(message) for message in _list(session) if message.status == Image.READY)
    return tuple(sorted(images, key=lambda image: image.name))


def publish(session: Session, image: BakedImage) -> Published:
    """Puts the RAW file into the cloud's storage and makes an image of it; one that is there already stays as it is.

    A half-made image of an earlier run is removed first.
    """
    name = image_name(image.name, image.digest)
    for message in _list(session):
        if message.name == name and message.status == Image.READY:
            return _read(message)
        if message.name == name:
            session.finish(_client(session).Delete(rpc.DeleteImageRequest(image_id=message.id)), what=f"delete {name}")
    request = rpc.CreateImageRequest(
        folder_id=session.folder_id,
        name=name,
        description=image.digest,
        labels=of_image(image.name, image.digest[:SHORT]),
        family=f"samovar-{image.name}",
        min_disk_size=image.size,
        uri=require_storage(session).put(image.digest, image.raw),
    )
    done = session.finish(_client(session).Create(request), what=f"create image {name}")
    made = Image()
    if not done.response.Unpack(made):
        raise CloudError(f"create image {name}: the operation {done.id} ended without an image")
    return _read(made)


def require_storage(session: Session) -> ImageStorage:
    """Where RAW files are put; ConfigError for a cloud that takes none, before anything is baked for it."""
    if session.image_storage is None:
        raise ConfigError(
            "images of the local builder are for a local cloud of one's own",
            remedy="for any other cloud images are baked with Packer",
        )
    return session.image_storage


def _list(session: Session) -> list[Image]:
    request = rpc.ListImagesRequest(folder_id=session.folder_id)
    return [message for message in session.list(_client(session).List, request, "images") if is_ours(message.labels)]


def _client(session: Session) -> ImageServiceStub:
    return session.client(ImageServiceStub)


def _read(message: Image) -> Published:
    labels = message.labels
    size = message.storage_size
    created = message.created_at.ToDatetime()
    return Published(message.id, message.name, labels.get(IMAGE, ""), labels.get(DIGEST, ""), size, created)
