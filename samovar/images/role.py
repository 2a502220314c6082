"""The role of an image's machines is what its own role.yaml says, laid over the roles of its parents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path

import yaml

from samovar.core.json_types import Json, JsonObject
from samovar.core.yaml_file import load_mapping, load_plain
from samovar.project.role import Role

MAPPINGS = ("defaults", "settings", "upstreams", "secrets")
"""The keys that are laid over the parent's name by name; templates by their targets, and any other key as a whole."""


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


def _templates(role: JsonObject) -> list[dict[str, Json]]:
    units = _list(role, "units")
    return [{"units": units, **each} for each in _list(role, "templates") if isinstance(each, Mapping)]


def _list(role: JsonObject, key: str) -> list[Json]:
    value = role.get(key, [])
    return value if isinstance(value, list) else []


def _mapping(role: JsonObject, key: str) -> JsonObject:
    value = role.get(key, {})
    return value if isinstance(value, Mapping) else {}
