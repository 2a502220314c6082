"""Security groups from the picture: the world reaches the edges, each group those that ask it, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator

from samovar.deploy.foundation_specs import CHECKS, SELF, UDP, WORLD, Rule
from samovar.deploy.names import group_name
from samovar.project.environment import BalancerType, Environment, Group

HTTPS = 443
"""The port of the cloud's API: machines ask Lockbox there."""
SSH = 22


def rules(environment: Environment, group: Group) -> tuple[Rule, ...]:
    """Sorted, each once."""
    return tuple(sorted({*_inbound(environment, group), *_outbound(environment, group), *_login(environment, group)}))


def open_ports(group: Group) -> tuple[int, ...]:
    """What is asked of the group's machines: its balancer's targets, and the ports that stand in its file."""
    listeners = group.balancer.listeners.values() if group.balancer else ()
    return tuple(sorted({*listeners, *group.ports}))


def asks_lockbox(group: Group) -> bool:
    """Whether its machines need the cloud's API, and a token for it."""
    return bool(group.secrets or group.data_disk)


def is_edge(group: Group) -> bool:
    """Whether the world asks it. Edges know each other and reach each other at the group's ports."""
    return group.balancer is not None and group.balancer.type is BalancerType.EXTERNAL


def _inbound(environment: Environment, group: Group) -> Iterator[Rule]:
    """The balancer and the group ask from the same ranges."""
    yield Rule(inbound=True, port=group.health.port, peer=CHECKS)
    if group.balancer:
        yield Rule(inbound=True, port=group.balancer.health.port, peer=CHECKS)
    if group.balancer and is_edge(group):
        listeners = group.balancer.listeners
        yield from (Rule(inbound=True, port=port, peer=WORLD) for port in listeners.values())
        if group.public and "https" in listeners:
            yield Rule(inbound=True, port=listeners["https"], peer=WORLD, protocol=UDP)
        yield from (Rule(inbound=True, port=port, peer=SELF) for port in group.ports)
    for asking in environment.groups:
        if asking.upstream == group.name:
            peer = group_name(environment.name, asking.name)
            yield from (Rule(inbound=True, port=port, peer=peer) for port in open_ports(group))


def _outbound(environment: Environment, group: Group) -> Iterator[Rule]:
    """By range and not by group: what goes to a balancer's address goes to a machine of no group."""
    if group.upstream:
        for port in open_ports(environment.group(group.upstream)):
            yield Rule(inbound=False, port=port, peer=str(environment.cidr))
    if is_edge(group):
        yield from (Rule(inbound=False, port=port, peer=SELF) for port in group.ports)
    if asks_lockbox(group):
        yield Rule(inbound=False, port=HTTPS, peer=WORLD)


def _login(environment: Environment, group: Group) -> Iterator[Rule]:
    """From the world to the bastion, from there to every other machine; nowhere without an operator."""
    if environment.operator is None:
        return
    bastion = environment.operator.bastion
    if group.name == bastion:
        yield Rule(inbound=True, port=SSH, peer=WORLD)
        yield Rule(inbound=False, port=SSH, peer=str(environment.cidr))
    else:
        yield Rule(inbound=True, port=SSH, peer=group_name(environment.name, bastion))
