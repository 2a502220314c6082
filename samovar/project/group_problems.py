"""Finds what is wrong with a group in its environment: names, upstreams, secrets, zones. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from samovar.project.balancer import BalancerType
from samovar.project.environment_options import SecretKind

if TYPE_CHECKING:
    from samovar.project.environment import Environment
    from samovar.project.group import Group

MACHINES_A_ZONE = 2
MAX_NAMES = 54
"""Names in the cloud have at most 63 characters; of these a hyphen and the longest suffix take nine."""
MAX_DISK_NAMES = MAX_NAMES + len("data")
"""A disk's name has a hyphen more."""


def group_problems(environment: Environment, group: Group) -> Iterator[str]:
    """Yield what is wrong with a group."""
    yield from _length(environment, group)
    yield from _upstreams(environment, group.name)
    yield from _secrets(environment, group)
    yield from _zones(environment, group)


def _length(environment: Environment, group: Group) -> Iterator[str]:
    """Yield what is wrong with the length of the names that resources of the group would have."""
    if len(environment.name) + len(group.name) > MAX_NAMES:
        yield (
            f"the names of the environment ({environment.name}) and of the group together have at most {MAX_NAMES} "
            "characters, because names of resources are made of both"
        )
    for disk in group.data_disks:
        if len(environment.name) + len(group.name) + len(disk) > MAX_DISK_NAMES:
            yield (
                f"data_disks.{disk}: the names of the environment ({environment.name}), of the group and of the disk "
                f"together have at most {MAX_DISK_NAMES} characters, because its name in the cloud is made of them"
            )


def _upstreams(environment: Environment, *path: str) -> Iterator[str]:
    """Yield what is wrong with the upstreams on a path: a cycle would give no group its metadata first."""
    for upstream in sorted({*environment.group_by_name[path[-1]].upstreams.values()} - environment.external.keys()):
        if upstream not in environment.group_by_name:
            names = ", ".join([*environment.group_by_name, *environment.external])
            yield f"upstream {upstream} is no group and no external server; there: {names}"
        elif upstream in path:
            yield f"upstream cycle: {' -> '.join([*path, upstream])}"
        else:
            yield from _upstreams(environment, *path, upstream)


def _secrets(environment: Environment, group: Group) -> Iterator[str]:
    external = any(other.balancer and other.balancer.type is BalancerType.EXTERNAL for other in environment.groups)
    for secret in group.secrets.values():
        kind = environment.secrets.get(secret)
        if kind is None:
            yield f"secret {secret} does not stand in secrets; there: {', '.join(environment.secrets) or 'none'}"
        elif kind is SecretKind.CERTIFICATE and not external:
            yield f"secret {secret} is a certificate, and no external balancer has an address to make it for"


def _zones(environment: Environment, group: Group) -> Iterator[str]:
    """Yield what is wrong with the group's zones: an internal balancer stays in the zone of who asks."""
    internal = group.balancer and group.balancer.type is BalancerType.INTERNAL
    least = MACHINES_A_ZONE * len(environment.zones)
    kept = group.smallest_size(len(environment.zones))
    if internal and kept < least:
        remedy = "let autoscale.min_zone_size be 2" if group.autoscale else f"let size be {least}"
        yield (
            f"an internal balancer prefers the zone of who asks: {kept} machines in {len(environment.zones)} "
            f"zone(s) leave a zone with one or none, whose loss is an outage; {remedy} or more"
        )
    if group.autoscale and kept > group.largest_size:
        yield f"autoscale: {len(environment.zones)} zone(s) keep {kept} machines, and max_size is {group.largest_size}"
