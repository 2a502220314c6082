"""Kinds of group hold what groups have in common: `groups/KIND.yaml` of a project, `samovar/KIND` of the library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from samovar.core.errors import ConfigError
from samovar.core.json_types import Json, JsonObject
from samovar.core.paths import LIBRARY
from samovar.core.validation import Location
from samovar.core.yaml_file import has_value, load_part, load_plain, place_of
from samovar.project.fields import IN_LIBRARY, KindName, Strict
from samovar.project.group import Group

LIBRARY_KINDS = LIBRARY / "groups"
BY_NAME = frozenset({"data_disks"})
"""The keys with parts by name, each of which is laid over that of the kind."""


class _Kind(Strict):
    """The keys of a group, each of them optional, and the kind that this one builds on."""

    parent: KindName | None = Field(
        default=None,
        description="a file of groups/, or `samovar/NAME` of the library, over which this kind is laid",
    )


def _optional(field: FieldInfo) -> tuple[object, FieldInfo]:
    value: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return value | None, FieldInfo(default=None, description=field.description)


_FIELDS: dict[str, Any] = {name: _optional(field) for name, field in Group.model_fields.items() if name != "kind"}
GroupKind = create_model("GroupKind", __base__=_Kind, __doc__=_Kind.__doc__, **_FIELDS)


def kind_names(kinds: Path) -> list[str]:
    """Return the names of the kinds that the folder `kinds` and the library have."""
    shared = [f"{IN_LIBRARY}{path.stem}" for path in sorted(LIBRARY_KINDS.glob("*.yaml"))]
    return sorted(path.stem for path in kinds.glob("*.yaml")) + shared


def complete_groups(path: Path, kinds: Path, value: Json) -> Json:
    """Give each group of an environment's plain `value` what its kind says. Raises ConfigError for an unknown kind.

    A mapping of the group (`machine`, `settings`, ...) is laid over the kind's, key by key, and so is each of its
    data disks; any other value replaces the kind's. `path` is the environment's file.
    """
    if not isinstance(value, Mapping):
        return value
    groups = value.get("groups")
    if not isinstance(groups, Mapping):
        return value
    completed = {name: _completed(path, kinds, name, group) for name, group in groups.items()}
    return {**value, "groups": completed}


def _completed(path: Path, kinds: Path, name: str, group: Json) -> Json:
    if not isinstance(group, Mapping) or not isinstance(group.get("kind"), str):
        return group
    return _merged(_load_kind(kinds, group["kind"], place_of(path, ("groups", name, "kind"))), group)


def place_in_kind(kinds: Path, kind: str, location: Location) -> str | None:
    """Return `file:line: key.path` of a key of a kind, in the file that states it, None where none does."""
    name: Json = kind
    while name is not None:
        file = _file(kinds, name, kind)
        if has_value(file, location[:2]):
            return place_of(file, location)
        name = _parent(load_plain(file))
    return None


def _load_kind(kinds: Path, name: Json, place: str, children: tuple[Path, ...] = ()) -> JsonObject:
    """Return what a kind and those that it builds on say. `place` is where it is named; `children` build on it."""
    file = _file(kinds, name, place)
    if file in children:
        raise ConfigError(f"{place}: kind {name} builds on itself", remedy="remove `parent` from one of them")
    parent = _parent(load_plain(file))
    above = {} if parent is None else _load_kind(kinds, parent, place_of(file, ("parent",)), (*children, file))
    completed = load_part(file, GroupKind, lambda own: _merged(above, own))
    return {key: value for key, value in completed.items() if key != "parent"}


def _parent(kind: Json) -> Json:
    """Return the name of the kind that one builds on; of a value that is no kind None, for it is refused as a whole."""
    parent = kind.get("parent") if isinstance(kind, Mapping) else None
    return parent if isinstance(parent, str) else None


def _file(kinds: Path, name: Json, place: str) -> Path:
    names = kind_names(kinds)
    shared = isinstance(name, str) and name.startswith(IN_LIBRARY)
    file = (LIBRARY_KINDS if shared else kinds) / f"{str(name).removeprefix(IN_LIBRARY)}.yaml"
    if name not in names:
        raise ConfigError(f"{place}: no kind {name}: {file} is not there", remedy=f"kinds: {', '.join(names)}")
    return file


def _merged(defaults: JsonObject, own: JsonObject) -> JsonObject:
    return {**defaults, **{key: _laid_over(key, defaults.get(key), value) for key, value in own.items()}}


def _laid_over(key: str, default: Json, own: Json) -> Json:
    if not isinstance(default, Mapping) or not isinstance(own, Mapping):
        return own
    return _merged(default, own) if key in BY_NAME else {**default, **own}
