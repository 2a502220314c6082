"""Finds what a drill breaks: groups by name, role or kind, and machines by name. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from samovar.core.errors import ConfigError
from samovar.deploy.resources.resource import group_resource_name
from samovar.deploy.status import Status
from samovar.project.balancer import BalancerType
from samovar.project.environment import Environment
from samovar.project.group import Group

ROLE, KIND = "role:", "kind:"
LAST = ":last"
"""Stands behind a group whose last machine is meant: its name changes with each machine that the group makes anew."""


def _balanced(balancer: BalancerType) -> Callable[[Group], bool]:
    return lambda group: bool(group.balancer and group.balancer.type is balancer)


ROLES: Mapping[str, Callable[[Group], bool]] = {
    "front": _balanced(BalancerType.EXTERNAL),
    "inner": _balanced(BalancerType.INTERNAL),
    "data": lambda group: bool(group.data_disks),
}
"""What makes a group have a role, whatever its name is."""


class NoTarget(ConfigError):
    """The environment has no such group or machine."""


def group_name(environment: Environment, target: str) -> str:
    """Return the name of the first group that `target` describes, or `target` itself if it is no description.

    Raises NoTarget if no group has that role or kind.
    """
    target = target.removesuffix(LAST)
    if not target.startswith((ROLE, KIND)):
        return target
    fitting = next((group.name for group in environment.groups if _fits(group, target)), None)
    if fitting is None:
        raise NoTarget(f"{environment.name} has no group of {target}", remedy=f"roles: {', '.join(ROLES)}")
    return fitting


def _fits(group: Group, target: str) -> bool:
    description, _, word = target.partition(":")
    if f"{description}:" == KIND:
        return group.kind == word
    return word in ROLES and ROLES[word](group)


def select_machines(status: Status, target: str, *, all_machines: bool = False, last: bool = False) -> tuple[str, ...]:
    """Return the first machine of the group `target`, its last, or all; or the machine `target`, with or without ENV-.

    Raises NoTarget that lists groups and machines.
    """
    for group in status.groups:
        names = tuple(machine.name for machine in group.machines)
        if target == group.name and names:
            one = names[-1:] if last else names[:1]
            return names if all_machines else one
        if matching := {target, group_resource_name(status.environment, target)} & set(names):
            return tuple(matching)
    targets = [group.name for group in status.groups] + [machine.name for machine in status.machines]
    raise NoTarget(f"{status.environment} has no group or machine {target}", remedy=f"there are {', '.join(targets)}")


def group_of_machine(status: Status, machine: str) -> str:
    """Return the name of the group that the machine belongs to."""
    return next(group.name for group in status.groups if machine in {each.name for each in group.machines})
