"""Puts the version of its program into an image, and merges it with a parent that has another version."""

from __future__ import annotations

import re
from dataclasses import replace

from samovar.core.errors import ConfigError
from samovar.core.validation import Location
from samovar.core.yaml_file import place_of
from samovar.images.definition import ImageDefinition
from samovar.images.image_folder import ImageFolder

PLACE = "{version}"


def in_version(image: ImageDefinition, version: str | None) -> ImageDefinition:
    """Return the image with its version in the names of packages and paths; None leaves them as they are."""
    if version is None:
        return image
    return replace(
        image,
        packages=_filled(image.packages, version),
        absent=_filled(image.absent, version),
        data_format=image.data_format.replace(PLACE, _label_text(version)),
    )


def refuse_place(folder: ImageFolder) -> None:
    """Raise ConfigError where an image without a version has a place for it."""
    texts: dict[Location, str] = {("packages", number): text for number, text in enumerate(folder.image.packages)}
    for at, text in {**texts, ("data_format",): folder.image.data_format or ""}.items():
        if PLACE in text:
            place = place_of(folder.file, at)
            raise ConfigError(f"{place}: {text} of an image without a version", remedy='add `version: "..."`')


def merge_parent(own: ImageDefinition, parent: ImageDefinition) -> ImageDefinition:
    """Return `own` with all that its parent adds to its own parent, which both are baked on then."""
    targets = {*(file.target for file in own.files), *(link.target for link in own.links)}
    files = [file for file in parent.files if file.target not in targets]
    links = [link for link in parent.links if link.target not in targets]
    return replace(
        own,
        parent=parent.parent,
        packages=(*parent.packages, *own.packages),
        files=tuple(sorted((*files, *own.files), key=lambda file: file.target)),
        links=(*links, *own.links),
        services=(*parent.services, *own.services),
        scripts=(*parent.scripts, *own.scripts),
        commands=(*parent.commands, *own.commands),
        absent=(*parent.absent, *own.absent),
        steps=(*own.steps, *(step for step in parent.steps if step not in own.steps)),
        application=own.application or parent.application,
        borrowed=own.borrowed or parent.borrowed,
    )


def _label_text(version: str) -> str:
    """Return the version as the value of a label may have it."""
    return re.sub("[^-_0-9a-z]", "-", version.lower())


def _filled(texts: tuple[str, ...], version: str) -> tuple[str, ...]:
    return tuple(text.replace(PLACE, version) for text in texts)
