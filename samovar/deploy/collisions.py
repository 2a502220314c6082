"""Refuses two resources of one name: the later one would win, or the cloud would refuse it halfway."""

from __future__ import annotations

from collections.abc import Iterable

from samovar.core.errors import ConfigError
from samovar.deploy.resources.registry import namespace
from samovar.deploy.resources.resource import Desired, Kind, Observed, Ref, Resource, Spec

REMEDY = "give the group, the secret or the environment another name"


def check_distinct(resources: Iterable[Resource[Spec]]) -> None:
    """Raises ConfigError where an environment would have two resources of one name."""
    owners: dict[tuple[Kind, str], str] = {}
    for resource in resources:
        key, owner = _key(resource.ref), _owner(resource)
        if key in owners:
            raise ConfigError(f"{resource.ref}: {owners[key]} and {owner} have the same name", remedy=REMEDY)
        owners[key] = owner


def check_free(desired: Desired, observed: Observed) -> None:
    """Raises ConfigError where a desired resource exists already and is not the environment's own."""
    ours = {_key(existing.ref) for existing in observed.resources}
    taken = {_key(ref): owner for ref, owner in observed.others}
    clashes = [(resource.ref, taken[key]) for resource in desired.resources if (key := _key(resource.ref)) in taken]
    unknown = "an owner that the tool does not know"
    others = [f"{ref} belongs to {owner or unknown}" for ref, owner in clashes if _key(ref) not in ours]
    if others:
        raise ConfigError(f"{desired.environment}: the folder has these already: {'; '.join(others)}", remedy=REMEDY)


def _key(ref: Ref) -> tuple[Kind, str]:
    return namespace(ref.kind), ref.name


def _owner(resource: Resource[Spec]) -> str:
    what = "the environment" if resource.ref.kind is not Kind.SECRET else "one of its secrets"
    return f"group {resource.group}" if resource.group else what
