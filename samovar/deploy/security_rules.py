"""The rules of each security group: clients reach the edges, each group its upstream, and all else is dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network

from samovar.core.constants import ANY_IPV4, SSH_PORT
from samovar.deploy.monitoring import monitoring_rules
from samovar.deploy.resources.resource import group_resource_name
from samovar.deploy.resources.security_group import HEALTH_CHECKS, ICMP, SELF, UDP, Rule
from samovar.project.balancer import BalancerType
from samovar.project.environment import Environment
from samovar.project.group import Group

HTTPS = 443
"""The port of the cloud's API: machines ask Lockbox there."""
NTP = 123


def rules(environment: Environment, group: Group, ranges: Sequence[str]) -> tuple[Rule, ...]:
    """Return the rules of the group's security group, sorted, each once. `ranges` are those of all machines."""
    parts = (_outbound, _ssh, monitoring_rules)
    each = {rule for part in parts for rule in part(environment, group, ranges)}
    return tuple(sorted({*_inbound(environment, group), *each}))


def target_ports(group: Group) -> frozenset[int]:
    """Return the ports at which other groups reach the machines: the balancer's targets, and the group's `ports`."""
    listeners = group.balancer.listeners.values() if group.balancer else ()
    return frozenset({*(listener.target for listener in listeners), *group.ports})


def open_ports(group: Group) -> frozenset[int]:
    """Return the ports that clients of the group ask at: those of the machines, and those of the balancer's address."""
    listeners = group.balancer.listeners.values() if group.balancer else ()
    return target_ports(group) | {listener.port for listener in listeners}


def needs_lockbox(group: Group) -> bool:
    """Return whether the machines read secrets, also whether a disk of theirs was seeded: with a token, over HTTPS."""
    return bool(group.secrets) or any(disk.seed for disk in group.data_disks.values())


def is_edge(group: Group) -> bool:
    """Return whether clients reach the group from outside."""
    return group.balancer is not None and group.balancer.type is BalancerType.EXTERNAL


def _inbound(environment: Environment, group: Group) -> Iterator[Rule]:
    """Health checks of the balancer and of the group come from the same ranges."""
    yield Rule(inbound=True, port=group.health.port, peer=HEALTH_CHECKS)
    if group.balancer:
        yield Rule(inbound=True, port=group.balancer_health.port, peer=HEALTH_CHECKS)
    if group.balancer and is_edge(group):
        listeners = group.balancer.listeners
        yield from (Rule(inbound=True, port=each.target, peer=ANY_IPV4) for each in listeners.values())
        if group.public and "https" in listeners:
            yield Rule(inbound=True, port=listeners["https"].target, peer=ANY_IPV4, protocol=UDP)
        # A router on the way to a client says by ICMP that a packet is too large for it.
        yield Rule(inbound=True, port=0, peer=ANY_IPV4, protocol=ICMP)
    yield from _between_machines(group, inbound=True)
    for way in group.ingress:
        yield Rule(inbound=True, port=way.port, peer=str(way.source), protocol=way.protocol.upper())
    for client in environment.groups:
        if group.name in client.upstreams.values():
            peer = group_resource_name(environment.name, client.name)
            yield from (Rule(inbound=True, port=port, peer=peer) for port in target_ports(group))


def _outbound(environment: Environment, group: Group, ranges: Sequence[str]) -> Iterator[Rule]:
    """A rule names a range, not a group: a balancer's address belongs to no machine of a group."""
    for upstream in environment.upstream_groups(group):
        yield from (Rule(inbound=False, port=port, peer=peer) for port in open_ports(upstream) for peer in ranges)
    for server in (environment.external[name] for name in group.upstreams.values() if name in environment.external):
        yield Rule(inbound=False, port=server.port, peer=_range(server.host))
    for way in group.egress:
        yield Rule(inbound=False, port=way.port, peer=str(way.to), protocol=way.protocol.upper())
    yield from _between_machines(group, inbound=False)
    if needs_lockbox(group):
        yield Rule(inbound=False, port=HTTPS, peer=ANY_IPV4)
    yield Rule(inbound=False, port=NTP, peer=ANY_IPV4, protocol=UDP)


def _between_machines(group: Group, *, inbound: bool) -> Iterator[Rule]:
    """Machines behind a balancer reach each other at the group's ports, past it."""
    if group.balancer:
        yield from (Rule(inbound=inbound, port=port, peer=SELF) for port in group.ports)


def _range(host: str) -> str:
    """A rule names addresses, not host names: the addresses of a name may change at any time."""
    try:
        return str(IPv4Network(host))
    except ValueError:
        return ANY_IPV4


def _ssh(environment: Environment, group: Group, ranges: Sequence[str]) -> Iterator[Rule]:
    """SSH leads to the bastion, and from there to every other machine; without an operator it is closed."""
    bastion = environment.bastion
    if environment.operator is None or bastion is None:
        return
    if group.name == bastion:
        yield Rule(inbound=True, port=SSH_PORT, peer=ANY_IPV4)
        yield from (Rule(inbound=False, port=SSH_PORT, peer=peer) for peer in ranges)
    else:
        # The bastion's rules name the group that monitors: that one names ranges, or neither could be made first.
        peers = ranges if group.monitors else [group_resource_name(environment.name, bastion)]
        yield from (Rule(inbound=True, port=SSH_PORT, peer=peer) for peer in peers)
