"""Finds what is wrong with a group in its environment: names, upstreams, secrets, zones. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from samovar.core.validation import FieldError
from samovar.project.balancer import BalancerType
from samovar.project.environment_options import ExistingSecret, SecretKind
from samovar.project.group import Group

Problems = Iterator[FieldError]
MACHINES_A_ZONE = 2
WITH_DATA_DISKS = {"max_unavailable": 1, "max_expansion": 0}
"""The policy of a group with data disks: each is attached to one machine."""
MAX_NAMES = 54
"""Names in the cloud have at most 63 characters; of these a hyphen and the longest suffix take nine."""
MAX_DISK_NAMES = MAX_NAMES + len("data")
"""A disk's name has a hyphen more."""


@dataclass(frozen=True)
class EnvironmentParts:
    """The parts of an environment that its groups depend on; the groups, servers outside and secrets by their names."""

    name: str
    zones: Collection[str]
    groups: Mapping[str, Group]
    external: Collection[str]
    secrets: Mapping[str, SecretKind | ExistingSecret]


def group_problems(environment: EnvironmentParts, name: str) -> Problems:
    """Yield what is wrong with a group."""
    group = environment.groups[name]
    yield from _names(environment, name, group)
    yield from _upstreams(environment, name)
    yield from _secrets(environment, name, group)
    yield from _zones(environment, name, group)
    yield from _policy(name, group)


def _names(environment: EnvironmentParts, name: str, group: Group) -> Problems:
    """Yield what is wrong with the length of the names that resources of the group would have."""
    if len(environment.name) + len(name) > MAX_NAMES:
        problem = (
            f"the names of the environment ({environment.name}) and of the group together have at most {MAX_NAMES} "
            "characters, because names of resources are made of both"
        )
        yield FieldError(problem, "groups", name, remedy="give the group a shorter name")
    for disk in group.data_disks:
        if len(environment.name) + len(name) + len(disk) > MAX_DISK_NAMES:
            problem = (
                f"the names of the environment ({environment.name}), of the group and of the disk together have at "
                f"most {MAX_DISK_NAMES} characters, because its name in the cloud is made of them"
            )
            yield FieldError(problem, "groups", name, "data_disks", disk, remedy="give the disk a shorter name")


def _upstreams(environment: EnvironmentParts, *path: str) -> Problems:
    """Yield what is wrong with the upstreams on a path: a cycle would give no group its metadata first."""
    for role_name, upstream in environment.groups[path[-1]].upstreams.items():
        place = ("groups", path[-1], "upstreams", role_name)
        if upstream in environment.external:
            continue
        if upstream not in environment.groups:
            names = ", ".join([*environment.groups, *environment.external])
            remedy = f"name one of {names}; or describe it: external: {{{upstream}: {{host: ..., port: ...}}}}"
            yield FieldError(f"there is no group and no external server {upstream}", *place, remedy=remedy)
        elif upstream in path:
            circle = " asks ".join([*path[path.index(upstream) :], upstream])
            why = (
                "a group cannot ask itself" if upstream == path[-1] else "each needs the address of the next one first"
            )
            yield FieldError(f"{circle}: {why}", *place, remedy="remove one of these upstreams")
        else:
            yield from _upstreams(environment, *path, upstream)
            yield from _closed(environment, upstream, place)


def _closed(environment: EnvironmentParts, upstream: str, place: tuple[str, ...]) -> Problems:
    """Yield that no port of an upstream is open to other groups, as is so of a worker."""
    group = environment.groups[upstream]
    if not (group.balancer or group.ports or group.ingress):
        problem = f"group {upstream} has neither a balancer nor ports: nobody can connect to its machines"
        remedy = f"name another group, or give {upstream} ports: [PORT], at which its machines answer"
        yield FieldError(problem, *place, remedy=remedy)


def _secrets(environment: EnvironmentParts, name: str, group: Group) -> Problems:
    balancers = [other.balancer for other in environment.groups.values() if other.balancer]
    external = any(balancer.type is BalancerType.EXTERNAL for balancer in balancers)
    for role_name, secret in group.secrets.items():
        place = ("groups", name, "secrets", role_name)
        kind = environment.secrets.get(secret)
        if kind is None:
            remedy = f"add to the environment secrets: {{{secret}: password}}, or certificate, provided, {{id: ID}}"
            there = ", ".join(environment.secrets) or "none"
            yield FieldError(
                f"there is no secret {secret} among those of the environment: {there}", *place, remedy=remedy
            )
        elif kind is SecretKind.CERTIFICATE and not external:
            problem = f"secret {secret} is a certificate, and no external balancer has an address to make it for"
            yield FieldError(
                problem, *place, remedy="give a group balancer: {type: external, ...}, or remove the secret"
            )


def _zones(environment: EnvironmentParts, name: str, group: Group) -> Problems:
    """Yield what is wrong with the group's zones: an internal balancer stays in the zone of who asks."""
    internal = group.balancer and group.balancer.type is BalancerType.INTERNAL
    zones = len(environment.zones)
    least, kept = MACHINES_A_ZONE * zones, group.smallest_size(zones)
    if internal and kept < least:
        key, value = ("autoscale.min_zone_size", MACHINES_A_ZONE) if group.autoscale else ("size", least)
        problem = (
            f"an internal balancer prefers the zone of who asks: {kept} machines in {zones} zone(s) leave a zone with "
            "one or none, whose loss is an outage"
        )
        yield FieldError(problem, "groups", name, *key.split("."), remedy=f"let {key} be {value} or more")
    if group.autoscale and group.size < (first := group.autoscale.least_beginning(zones)):
        problem = f"a group with zonal autoscale begins with a machine in each zone: {group.size} in {zones} zones"
        yield FieldError(
            problem, "groups", name, "size", remedy=f"let size be {first} or more, or the type be regional"
        )
    if group.autoscale and kept > group.largest_size:
        problem = f"{zones} zone(s) keep {kept} machines, and max_size is {group.largest_size}"
        yield FieldError(problem, "groups", name, "autoscale", "max_size", remedy=f"let max_size be {kept} or more")


def _policy(name: str, group: Group) -> Problems:
    given = group.policy.model_fields_set if group.data_disks else ()
    for key, value in WITH_DATA_DISKS.items():
        if key in given and getattr(group.policy, key) != value:
            problem = f"{key} is {value} in a group with data disks: the old machine goes before the new one comes"
            yield FieldError(problem, "groups", name, "policy", key, remedy="remove the key")
