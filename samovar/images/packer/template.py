"""The template for Packer's yandex builder, from the same definition that the local builder bakes. Pure."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path

import jinja2

from samovar.cloud.connection import Access
from samovar.cloud.labels import of_image
from samovar.core.units import GIB
from samovar.images.bake_input import scripts_of
from samovar.images.definition import ImageDefinition
from samovar.images.digest import SHORT, family, image_name
from samovar.images.packer.source_image import Origin
from samovar.images.packer.upload_bundle import NAME

SOURCE = Path(__file__).parent / "image.pkr.hcl.j2"
DISK_GB = 5
MEMORY_GB = 2


def template(image: ImageDefinition, digest: str, origin: Origin, access: Access) -> str:
    """HCL2. It holds no secret, and what belongs to one bake alone are its variables; `digest` is the full one."""
    return _source().render(
        image=image,
        digest=digest,
        image_name=image_name(image.name, digest),
        family=family(image.name),
        labels={key: value for key, value in of_image(image.name, digest[:SHORT], "").items() if value},
        machine=machine_name(image.name, digest),
        origin=origin,
        folder=origin.folder or access.folder_id,
        access=access,
        disk_size_gb=disk_gb(origin),
        memory_gb=MEMORY_GB,
        parcel=NAME,
        steps=tuple(_steps(image)),
    )


def machine_name(name: str, digest: str) -> str:
    """The machine that is baked on, and its disk."""
    return f"samovar-bake-{name}-{digest[:SHORT]}"


def disk_gb(origin: Origin) -> int:
    """Whole gigabytes in which the origin has room."""
    return max(DISK_GB, -(-origin.size // GIB))


def _steps(image: ImageDefinition) -> Iterator[str]:
    if image.packages:
        yield f"packages: {', '.join(image.packages)}"
    yield f"files: {len(image.files)}"
    if image.services:
        yield f"services: {', '.join(image.services)}"
    yield from (script.name for script in scripts_of(image))
    yield "checks: hygiene, packages, files, services, " + ", ".join(command[0] for command in image.commands)


def hcl_string(value: str) -> str:
    """A string of HCL that is `value` and nothing else: without interpolation and directives."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def comment(text: str) -> str:
    """What fits on one line of a comment."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


@functools.cache
def _source() -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - HCL, whose strings and comments the filters below make
    )
    environment.filters.update(hcl=hcl_string, comment=comment)
    return environment.from_string(SOURCE.read_text())
