"""Two resources of one name: the later one would win, or the cloud would refuse it halfway."""

from __future__ import annotations

from collections.abc import Iterable

from samovar.core.errors import ConfigError
from samovar.deploy.specs import Desired, Kind, Observed, Ref, Resource

SHARED = {Kind.RECORD: Kind.SECRET, Kind.INTERNAL_ADDRESS: Kind.ADDRESS}
"""Kinds of ours that are one kind to the cloud, whose names are unique in a folder."""
REMEDY = "give the group, the secret or the environment another name"


def check_distinct(resources: Iterable[Resource]) -> None:
    """ConfigError where an environment would have two resources of one name."""
    known: dict[tuple[Kind, str], str] = {}
    for resource in resources:
        key, owner = _key(resource.ref), _owner(resource)
        if key in known:
            raise ConfigError(f"{resource.ref}: {known[key]} and {owner} have the same name", remedy=REMEDY)
        known[key] = owner


def check_free(desired: Desired, observed: Observed) -> None:
    """ConfigError where what an environment wants is there already and is not its own."""
    ours = {_key(existing.ref) for existing in observed.resources}
    taken = {_key(ref): owner for ref, owner in observed.others}
    wanted = [(resource.ref, taken[key]) for resource in desired.resources if (key := _key(resource.ref)) in taken]
    nobody = "nobody whom the tool knows"
    others = [f"{ref} belongs to {owner or nobody}" for ref, owner in wanted if _key(ref) not in ours]
    if others:
        raise ConfigError(f"{desired.environment}: the folder has these already: {'; '.join(others)}", remedy=REMEDY)


def _key(ref: Ref) -> tuple[Kind, str]:
    return SHARED.get(ref.kind, ref.kind), ref.name


def _owner(resource: Resource) -> str:
    what = "the environment" if resource.ref.kind is not Kind.SECRET else "one of its secrets"
    return f"group {resource.group}" if resource.group else what
