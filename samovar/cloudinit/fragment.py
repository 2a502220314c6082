"""Fragments: files of cloud-config in a project's `cloudinit/`, merged into the user-data of a group's machines.

cloud-init's own schema checks them, as `cloud-init schema` does on a machine. Pure, but for the reading of files.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from samovar.core.errors import ConfigError
from samovar.core.json_types import Json, JsonObject
from samovar.core.yaml_file import load_plain, place_of

HEADER = "#cloud-config"
SCHEMA = Path(__file__).with_name("schema-cloud-config-v1.json")
"""cloud-init's own, of the version in the image `base`. Apache-2.0."""


def load_fragment(path: Path) -> JsonObject:
    """Read a fragment. Raises ConfigError with file and line for what cloud-init would not take for cloud-config."""
    value = load_plain(path)
    if path.read_text().partition("\n")[0].rstrip() != HEADER:
        raise ConfigError(f"{path}:1: not cloud-config", remedy=f"let its first line be {HEADER}")
    if not isinstance(value, dict) or not value:
        raise ConfigError(f"{path}:1: cloud-config is a mapping of keys such as runcmd", remedy="write one")
    _check(path, value)
    return value


def merge(base: str, fragments: Iterable[tuple[Path, JsonObject]]) -> str:
    """Return the user-data `base` with the fragments merged in: lists are joined, mappings merged key by key.

    Raises ConfigError where a fragment contradicts the base or an earlier fragment.
    """
    merged: Json = yaml.safe_load(base)
    for path, fragment in fragments:
        merged = _merged(path, (), merged, fragment)
    return f"{HEADER}\n{yaml.safe_dump(merged, default_flow_style=False, sort_keys=False, allow_unicode=True)}"


def _check(path: Path, fragment: JsonObject) -> None:
    from jsonschema import Draft4Validator  # noqa: PLC0415 - 0.1 s that only a fragment needs
    from jsonschema.exceptions import best_match  # noqa: PLC0415

    schema = json.loads(SCHEMA.read_text())
    for key in fragment.keys() - schema["properties"].keys():
        close = difflib.get_close_matches(key, schema["properties"], n=1)
        remedy = f"{f'did you mean {close[0]}? ' if close else ''}docs.cloud-init.io has all"
        raise ConfigError(f"{place_of(path, (key,))}: no key of cloud-config", remedy=remedy)
    if error := best_match(Draft4Validator(schema).iter_errors(fragment)):
        place = place_of(path, tuple(error.absolute_path))
        raise ConfigError(f"{place}: {error.message}", remedy="write what docs.cloud-init.io says of it")


def _merged(path: Path, keys: tuple[str, ...], before: Json, after: Json) -> Json:
    if isinstance(before, dict) and isinstance(after, Mapping):
        both = {key: _merged(path, (*keys, key), before[key], after[key]) for key in before.keys() & after.keys()}
        return {**before, **after, **both}
    if isinstance(before, list) and isinstance(after, list):
        return [*before, *after]
    if before != after:
        raise ConfigError(
            f"{place_of(path, keys)}: {after!r} contradicts {before!r}, which the template or an earlier fragment says",
            remedy="leave it out, or change the template cloudinit/user-data.yaml.j2",
        )
    return after
