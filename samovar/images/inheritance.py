"""Says what an image inherits from its parents: their roles, and the version of their program."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path

import yaml

from samovar.core.errors import ConfigError
from samovar.core.json_types import Json, JsonObject
from samovar.core.validation import Location
from samovar.core.yaml_file import load_mapping, load_plain, place_of
from samovar.images.definition import ImageDefinition
from samovar.images.image_folder import ImageFolder
from samovar.project.image import Role

MAPPINGS = ("defaults", "settings", "upstreams", "secrets")
"""The keys that are laid over the parent's name by name; templates by their targets, and any other key as a whole."""
PLACE = "{version}"
ROLES = "/usr/lib/samovar/roles"
"""The folder of an image where the agent finds roles."""


def read_roles(files: Sequence[Path]) -> bytes:
    """Return the role that the files make together; the nearest comes first. Raises ConfigError for a fault in one.

    An only file is taken as it is written: the agent's own reading tells what is wrong with its keys.
    """
    if len(files) == 1:
        load_plain(files[0])
        return files[0].read_bytes()
    roles = [load_mapping(file, Role) for file in reversed(files)]
    return yaml.dump(reduce(merge_roles, roles), Dumper=yaml.CSafeDumper, sort_keys=False, encoding="utf-8")


def merge_roles(parent: JsonObject, own: JsonObject) -> JsonObject:
    """Return the role `own` laid over that of its parent.

    A template that names no units concerns those of the file in which it stands. Units add up.
    """
    templates = {template["target"]: template for template in (*_templates(parent), *_templates(own))}
    units = dict.fromkeys((*_list(parent, "units"), *_list(own, "units")))
    mappings = {key: {**_mapping(parent, key), **_mapping(own, key)} for key in MAPPINGS if {key} & {*parent, *own}}
    return {**parent, **own, **mappings, "templates": [*templates.values()], "units": [*units]}


def units_of_role(role: bytes) -> tuple[str, ...]:
    """Return the units that a role names, of its own and of its templates, each once; none where it is no role."""
    content: object = yaml.safe_load(role)
    if not isinstance(content, Mapping):
        return ()
    each = [_list(content, "units"), *(_list(template, "units") for template in _templates(content))]
    return tuple(dict.fromkeys(unit for units in each for unit in units if isinstance(unit, str)))


def _templates(role: JsonObject) -> list[dict[str, Json]]:
    units = _list(role, "units")
    return [{"units": units, **each} for each in _list(role, "templates") if isinstance(each, Mapping)]


def _list(role: JsonObject, key: str) -> list[Json]:
    value = role.get(key, [])
    return value if isinstance(value, list) else []


def _mapping(role: JsonObject, key: str) -> JsonObject:
    value = role.get(key, {})
    return value if isinstance(value, Mapping) else {}


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
