"""Kinds of instance group: `groups/<kind>.yaml` holds what its groups have in common, an environment the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import create_model
from pydantic.fields import FieldInfo

from samovar.core.errors import ConfigError
from samovar.core.yaml_file import load_mapping, place_of
from samovar.project.environment_file import GroupEntry, Strict


def _optional(field: FieldInfo) -> Any:
    value: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return value | None


_FIELDS: dict[str, Any] = {
    name: (_optional(field), None) for name, field in GroupEntry.model_fields.items() if name != "kind"
}
GroupKind = create_model("GroupKind", __base__=Strict, **_FIELDS)
"""The keys of a group, each of them optional."""


def kind_names(kinds: Path) -> list[str]:
    """Every kind that the project has."""
    return sorted(path.stem for path in kinds.glob("*.yaml"))


def complete_groups(path: Path, kinds: Path, value: Any) -> Any:
    """Gives each group of an environment's plain `value` what its kind says. Raises ConfigError for an unknown kind.

    A mapping of the group (`machine`, `settings`, ...) is laid over the kind's, key by key; any other value replaces
    the kind's. `path` is the environment's file.
    """
    groups = value.get("groups") if isinstance(value, Mapping) else None
    if not isinstance(groups, Mapping):
        return value
    completed = {name: _completed(path, kinds, name, group) for name, group in groups.items()}
    return {**value, "groups": completed}


def _completed(path: Path, kinds: Path, name: str, group: Any) -> Any:
    kind = group.get("kind") if isinstance(group, Mapping) else None
    if kind is None:
        return group
    known = kind_names(kinds)
    if kind not in known:
        raise ConfigError(
            f"{place_of(path, ('groups', name, 'kind'))}: no kind {kind}: {kinds / f'{kind}.yaml'} is not there",
            remedy=f"kinds: {', '.join(known) or 'none'}",
        )
    return _merged(load_mapping(kinds / f"{kind}.yaml", GroupKind), group)


def _merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    both = defaults.keys() & own.keys()
    inner = {
        key: {**defaults[key], **own[key]}
        for key in both
        if isinstance(defaults[key], Mapping) and isinstance(own[key], Mapping)
    }
    return {**defaults, **own, **inner}
