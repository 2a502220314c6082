"""What an image of Packer's starts from: its parent as it is now, by id; or the newest of a family."""

from __future__ import annotations

from dataclasses import dataclass

from samovar.cloud.session import Session
from samovar.images.definition import ImageDefinition, Images
from samovar.images.digest import digests, family, image_name
from samovar.images.publish import published

SUITES = {"bookworm": "debian-12", "trixie": "debian-13"}
"""The families of Yandex Cloud's own images that a suite of Debian starts from."""
STANDARD = "standard-images"


@dataclass(frozen=True)
class Origin:
    """One image by `id`, or the newest of a `family` in `folder`, which is the bake's own where it is empty.

    `size` in bytes.
    """

    id: str = ""
    name: str = ""
    family: str = ""
    folder: str = ""
    size: int = 0


def origin(session: Session, images: Images, name: str) -> Origin:
    """The parent as it is now where that is published, else what stands for it."""
    image = images[name]
    if image.parent:
        wanted = image_name(image.parent, digests(images)[image.parent])
        for parent in published(session):
            if parent.name == wanted:
                return Origin(id=parent.id, name=parent.name, size=parent.min_disk_size)
    return standard_origin(image)


def standard_origin(image: ImageDefinition) -> Origin:
    """Where an image starts whose parent is not published: at the parent's family, or at Debian's."""
    if image.parent:
        return Origin(family=family(image.parent))
    suite = image.suite or ""
    return Origin(family=SUITES.get(suite, suite), folder=STANDARD)
