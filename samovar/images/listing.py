"""All images in one view: those of the repository as they are now, then what the cloud has of former content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from typing_extensions import TypedDict

from samovar.cloud.session import Session
from samovar.images.definition import Images, lineage
from samovar.images.digest import SHORT, digests, image_name
from samovar.images.load import load_images
from samovar.images.outdated import Outdated, mirror_versions, outdated
from samovar.images.plan import require_known
from samovar.images.publish import Published, published
from samovar.images.store import BakedImage, Store, default_store
from samovar.project.project import Project


@dataclass(frozen=True)
class CatalogueImage:
    """An image, as ImageJson describes it."""

    name: str
    image: str
    current: bool
    published: bool
    id: str | None = None
    size: int | None = None
    created_at: datetime | None = None
    outdated: tuple[Outdated, ...] | None = None


@dataclass(frozen=True)
class Catalogue:
    """Every image, the repository's first."""

    images: tuple[CatalogueImage, ...]

    def to_json(self) -> CatalogueJson:
        return {"images": [_image_json(image) for image in self.images]}


class OutdatedJson(TypedDict):
    """A package of which the mirror has another version than the image."""

    package: str
    baked: str
    mirror: str


class ImageJson(TypedDict):
    """An image. `current`: it is what the repository describes now; `published`: the cloud has it, with the rest.

    `size` is in bytes, `created_at` in UTC. `outdated` is null without --outdated, and where this machine does not know
    the image's packages.
    """

    name: str
    image: str
    current: bool
    published: bool
    id: str | None
    size: int | None
    created_at: str | None
    outdated: list[OutdatedJson] | None


class CatalogueJson(TypedDict):
    """The images of the repository as they are now, then what else the cloud has."""

    images: list[ImageJson]


def full_names(project: Project, names: Sequence[str]) -> Mapping[str, str]:
    """The name in the cloud of each of the images `names`, or of all where none is named, as they are now.

    Raises ConfigError for a name that is no image.
    """
    images = load_images(project)
    known = digests(images)
    require_known(names, images)
    return {name: image_name(name, known[name]) for name in names or images}


def catalogue(session: Session, project: Project, *, outdated: bool = False) -> Catalogue:
    """The images of the repository and of the cloud; with `outdated`, compared with the mirror."""
    images = load_images(project)
    known = digests(images)
    there = published(session)
    stale = _stale(images, known, there) if outdated else {}
    return Catalogue(tuple(_entries({image_name(name, known[name]): name for name in images}, there, stale)))


def _entries(
    current: Mapping[str, str], there: Sequence[Published], stale: Mapping[str, tuple[Outdated, ...]]
) -> Iterator[CatalogueImage]:
    by_name = {image.name: image for image in there}
    for name in [*current, *sorted(by_name.keys() - current.keys())]:
        found, is_current = by_name.get(name), name in current
        if found is None:
            yield CatalogueImage(name, current[name], is_current, published=False, outdated=stale.get(name))
        else:
            about = (found.id, found.size, found.created_at)
            yield CatalogueImage(name, found.image, is_current, True, *about, stale.get(name))  # noqa: FBT003


def _stale(images: Images, known: Mapping[str, str], there: Sequence[Published]) -> Mapping[str, tuple[Outdated, ...]]:
    """By full name, for those whose packages this machine knows; each suite's mirror is asked once."""
    store = default_store()
    baked = {image_name(name, digest): store.find(name, digest) for name, digest in known.items()}
    baked |= {image.name: _baked(store, image) for image in there}
    by_suite: dict[str, dict[str, BakedImage]] = {}
    for name, found in baked.items():
        if found and found.name in images:
            by_suite.setdefault(_suite(found.name, images), {})[name] = found
    return {name: stale for suite, found in by_suite.items() for name, stale in _compare(suite, found).items()}


def _compare(suite: str, found: Mapping[str, BakedImage]) -> Mapping[str, tuple[Outdated, ...]]:
    mirror = mirror_versions(suite, {package for image in found.values() for package in image.packages})
    return {name: outdated(image.packages, mirror) for name, image in found.items()}


def _baked(store: Store, image: Published) -> BakedImage | None:
    """The very bake that was published: another one of the same content has other packages."""
    found = store.find(image.image, image.digest)
    return found if found and found.manifest_digest[:SHORT] == image.manifest else None


def _suite(name: str, images: Images) -> str:
    (suite,) = {image.suite for image in lineage(name, images) if image.suite}
    return suite


def _image_json(image: CatalogueImage) -> ImageJson:
    stale: list[OutdatedJson] | None = None
    if image.outdated is not None:
        stale = [{"package": each.package, "baked": each.baked, "mirror": each.mirror} for each in image.outdated]
    return {
        "name": image.name,
        "image": image.image,
        "current": image.current,
        "published": image.published,
        "id": image.id,
        "size": image.size,
        "created_at": image.created_at.isoformat() if image.created_at else None,
        "outdated": stale,
    }
