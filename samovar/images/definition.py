"""An image's definition as a value, and its digest: all that goes into the image is in both, bytes included."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import BaseModel

from samovar.project.application import Format, Run

SHORT = 12


@dataclass(frozen=True)
class InputFile:
    """A file that is put into the image. `owner` is `user:group`, by names that the image knows."""

    target: str
    mode: int
    owner: str
    data: bytes


@dataclass(frozen=True)
class InputLink:
    """A symbolic link that is put into the image at `target`, and what it points to."""

    target: str
    points_to: str


@dataclass(frozen=True)
class Script:
    """A provisioning step; `name` is its path, seen from the folder of the image."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Application:
    """A program and its place in the image, which a .deb has not: its `data`, its file at `path`, or its `url`.

    It is its sha256, of an OCI image that of its manifest: where it comes from makes no other image of it. `run` is of
    an OCI image alone: its unit is made when it is baked, while that of any other is among the files of the image.
    """

    target: str
    sha256: str
    format: Format = Format.FILE
    run: Run | None = None
    url: str = field(default="", compare=False)
    path: Path | None = field(default=None, compare=False)
    data: bytes = field(default=b"", repr=False, compare=False)


@dataclass(frozen=True)
class ImageDefinition:
    """An image, ready to be baked. A root image has a `suite` of Debian, every other one a `parent`.

    `steps` are the engine's own scripts, which are inputs like any other. Packages are installed first, then the files
    are put in place, services enabled, and scripts run in their order. `commands` must succeed in the finished image,
    `absent` are paths that it must not have. What is put below /tmp, and the application `borrowed` from another image,
    is there only while the image is baked. `data_format` tells which images read each other's data disks, `program`
    is the path of what the application's unit starts, "" for one of an OCI image; neither makes another image.
    """

    name: str
    description: str
    parent: str | None
    suite: str | None
    packages: tuple[str, ...]
    files: tuple[InputFile, ...]
    services: tuple[str, ...]
    scripts: tuple[Script, ...]
    commands: tuple[tuple[str, ...], ...]
    absent: tuple[str, ...]
    steps: tuple[Script, ...]
    links: tuple[InputLink, ...] = ()
    application: Application | None = None
    borrowed: Application | None = None
    data_format: str = field(default="", compare=False)
    program: str = field(default="", compare=False)


Images = Mapping[str, ImageDefinition]


class WithParent(Protocol):
    """An image by the name of its parent; the root has none."""

    @property
    def parent(self) -> str | None: ...


P = TypeVar("P", bound=WithParent)


def lineage(name: str, images: Mapping[str, P]) -> Iterator[P]:
    """Yield the image, its parent, and so on to the root."""
    parent: str | None = name
    while parent is not None:
        yield images[parent]
        parent = images[parent].parent


def suite_of(name: str, images: Images) -> str:
    """Return the suite of Debian of the image: that of its root."""
    return next(image.suite for image in lineage(name, images) if image.suite)


def digests(images: Images) -> Mapping[str, str]:
    """Return the sha256 of each image, in hex. `images` stand parents first, as `load_images` gives them."""
    digests: dict[str, str] = {}
    for name, image in images.items():
        digests[name] = digest_of(image, digests[image.parent] if image.parent else "")
    return digests


def digest_of(image: ImageDefinition, parent_digest: str) -> str:
    """Return the sha256, in hex, over the whole definition and the digest of the parent ("" for a root)."""
    inputs = json.dumps([parent_digest, _canonical(image)], sort_keys=True)
    return hashlib.sha256(inputs.encode()).hexdigest()


def image_name(name: str, digest: str) -> str:
    """Return the image's name in the cloud, e.g. `samovar-nginx-0123456789ab`."""
    return f"{family(name)}-{digest[:SHORT]}"


def family(name: str) -> str:
    """Return the family of an image in the cloud: `samovar-nginx`; the library's images have such names already."""
    return name if name.startswith("samovar-") else f"samovar-{name}"


def file_sha256(file: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _canonical(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _canonical(getattr(value, field.name)) for field in fields(value) if field.compare}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, tuple):
        return [_canonical(item) for item in value]
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value
