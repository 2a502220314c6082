"""The plan of a bake: the images that are missing, in the order in which they can be baked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from samovar.core.errors import ConfigError
from samovar.images.definition import ImageDefinition, Images, lineage
from samovar.project.fields import written_name


def plan_bake(
    names: Iterable[str],
    images: Images,
    digests: Mapping[str, str],
    baked: Collection[str],
    *,
    force: bool = False,
    refresh: bool = False,
) -> tuple[tuple[str, ...], ...]:
    """Return the images to bake, in groups that follow each other.

    Those of a group are independent of each other; their parents are baked, or in an earlier group.

    `baked` holds digests. With `force` the named images are baked although they are there, and with `refresh` their
    parents as well.
    Raises ConfigError for a name that is no image.
    """
    named = tuple(names)
    require_images(named, images)
    again = _lineages(named, images) if refresh else set(named) if force else set[str]()
    ready = set(baked) - {digests[name] for name in again}
    missing = {image.name for name in named for image in _unbaked(name, images, digests, ready)}
    by_depth: dict[int, list[str]] = {}
    for name in (name for name in images if name in missing):
        depth = sum(image.name in missing for image in lineage(name, images))
        by_depth.setdefault(depth, []).append(name)
    return tuple(tuple(by_depth[depth]) for depth in sorted(by_depth))


def require_images(names: Iterable[str], images: Images) -> None:
    """Raise ConfigError, which lists the images, where a name is not one of them."""
    for name in names:
        if name not in images:
            there = ", ".join(map(written_name, sorted(images)))
            raise ConfigError(f"no image {written_name(name)}", remedy=f"known images: {there}")


def _lineages(names: Iterable[str], images: Images) -> set[str]:
    return {image.name for name in names for image in lineage(name, images)}


def _unbaked(
    name: str, images: Images, digests: Mapping[str, str], ready: Collection[str]
) -> Iterator[ImageDefinition]:
    for image in lineage(name, images):
        if digests[image.name] in ready:
            return
        yield image
