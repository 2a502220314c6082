"""Kinds of instance group: `groups/<kind>.yaml` holds what its groups have in common, an environment the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import create_model
from pydantic.fields import FieldInfo

from samovar.core.errors import ConfigError
from samovar.core.json_types import Json, JsonObject
from samovar.core.yaml_file import load_mapping, place_of
from samovar.project.group import Group
from samovar.project.model import Strict


def _optional(field: FieldInfo) -> tuple[object, FieldInfo]:
    value: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return value | None, FieldInfo(default=None, description=field.description)


_FIELDS: dict[str, Any] = {name: _optional(field) for name, field in Group.model_fields.items() if name != "kind"}
GroupKind = create_model("GroupKind", __base__=Strict, __doc__="The keys of a group, each of them optional.", **_FIELDS)


def kind_names(kinds: Path) -> list[str]:
    """Return the names of the kinds that the folder `kinds` has."""
    return sorted(path.stem for path in kinds.glob("*.yaml"))


def complete_groups(path: Path, kinds: Path, value: Json) -> Json:
    """Give each group of an environment's plain `value` what its kind says. Raises ConfigError for an unknown kind.

    A mapping of the group (`machine`, `settings`, ...) is laid over the kind's, key by key; any other value replaces
    the kind's. `path` is the environment's file.
    """
    if not isinstance(value, Mapping):
        return value
    groups = value.get("groups")
    if not isinstance(groups, Mapping):
        return value
    completed = {name: _completed(path, kinds, name, group) for name, group in groups.items()}
    return {**value, "groups": completed}


def _completed(path: Path, kinds: Path, name: str, group: Json) -> Json:
    if not isinstance(group, Mapping) or group.get("kind") is None:
        return group
    kind = group["kind"]
    names = kind_names(kinds)
    if kind not in names:
        raise ConfigError(
            f"{place_of(path, ('groups', name, 'kind'))}: no kind {kind}: {kinds / f'{kind}.yaml'} is not there",
            remedy=f"kinds: {', '.join(names) or 'none'}",
        )
    return _merged(load_mapping(kinds / f"{kind}.yaml", GroupKind), group)


def _merged(defaults: JsonObject, own: JsonObject) -> JsonObject:
    return {**defaults, **{key: _laid_over(defaults.get(key), value) for key, value in own.items()}}


def _laid_over(default: Json, own: Json) -> Json:
    return {**default, **own} if isinstance(default, Mapping) and isinstance(own, Mapping) else own
