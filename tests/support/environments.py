"""Environments and groups of a test's own, without a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from samovar.project.environment import Environment
from samovar.project.group import Group
from tests.support.checkout import PROJECT

M = TypeVar("M", bound=BaseModel)


def make_group(name: str, **fields: Any) -> Group:
    """Make a group from the keys that its file would have; parts may be models."""
    return changed(Group.model_validate(fields), name=name)


def make_environment(name: str, *groups: Group, **fields: Any) -> Environment:
    """Make an environment from the keys that its file would have."""
    by_name: Mapping[str, Group] = {group.name: group for group in groups}
    return Environment.model_validate({"groups": by_name, **fields}, context={"name": name, "project": PROJECT})


def changed(model: M, **changes: Any) -> M:
    """Return a copy with other values, which are not checked; `name` and `groups` are what a file's keys are."""
    name = changes.pop("name", None)
    if "groups" in changes:
        changes["group_by_name"] = {group.name: group for group in changes.pop("groups")}
    copy = model.model_copy(update=changes)
    if name is not None:
        copy._name = name  # type: ignore[attr-defined]
    return copy
