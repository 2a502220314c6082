"""Environments, groups and load profiles of a test's own, without a file; and the resources that they ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from samovar.cloudinit.metadata import Api
from samovar.deploy.desired import desired
from samovar.deploy.group_metadata import group_metadata
from samovar.deploy.resources.resource import Desired
from samovar.project.environment import Environment
from samovar.project.group import Group
from samovar.project.load_profile import LoadProfile
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


def desired_of(
    environment: Environment, images: Mapping[str, str], api: Api | None = None, ranges: Sequence[str] = ()
) -> Desired:
    return desired(environment, images, group_metadata(environment, api), ranges)


def page_profile(name: str, rate: float, path: str = "/", timeout: float = 5.0) -> LoadProfile:
    """Return a profile that requests one page; nine in ten answers must come in 0.4 s."""
    request = f"GET {path}"
    endpoint = {"request": request, "timeout": timeout, "max_age": None, "slo": {"quantile": 0.9, "seconds": 0.4}}
    flows = [{"share": 1, "steps": [request]}]
    return LoadProfile.model_validate({"name": name, "rate": rate, "endpoints": [endpoint], "flows": flows})
