"""Security groups as rules of nftables: each packet that opens a flow is let through by a rule, or dropped.

What leaves a machine is judged by where it was sent, before a balancer's address becomes a target's; what arrives, by
who sent it, as balancers leave the client's address alone. Clients on the host are of the world: 0.0.0.0/0 means them,
and no narrower range does. Rules that change let open flows go on, as connection tracking knows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, collapse_addresses

from samovar.localcloud.network.names import METADATA, gateway, name_server
from samovar.localcloud.network.nft import set_of
from samovar.localcloud.network.spec import Direction, Network, Rule, SecurityGroup

OPEN = "ct state established,related accept"
EVERYWHERE = IPv4Network("0.0.0.0/0")


def leaving(network: Network) -> Iterator[str]:
    """What machines send. The metadata service, names and leases are open to all, as in Yandex Cloud."""
    if network.security_groups:
        yield OPEN
        yield f"ip daddr {METADATA} accept"
        if network.subnets:
            yield f"ip daddr {set_of(map(gateway, network.subnets))} udp dport 67 accept"
            yield f"ip daddr {set_of(map(name_server, network.subnets))} meta l4proto {{ tcp, udp }} th dport 53 accept"
        yield from _judged(network.security_groups, Direction.EGRESS)


def arriving(network: Network) -> Iterator[str]:
    """What machines are sent by each other, by clients, and by health checks."""
    yield from _judged(network.security_groups, Direction.INGRESS)


def _judged(groups: Iterable[SecurityGroup], direction: Direction) -> Iterator[str]:
    """A machine of several groups may do what any of them says; one of no group is not asked."""
    own, other = ("saddr", "daddr") if direction is Direction.EGRESS else ("daddr", "saddr")
    members = {member for group in groups for member in group.members}
    for group in groups:
        for rule in group.rules:
            if rule.direction is direction and rule.peers and group.members:
                yield f"ip {own} {set_of(group.members)} {_matched(rule, other)}accept"
    if members:
        yield f"ip {own} {set_of(sorted(members))} drop"


def _matched(rule: Rule, other: str) -> str:
    """Ranges that overlap are an error to nft, and so is a set of the whole world."""
    peers = tuple(collapse_addresses(rule.peers))
    text = "" if EVERYWHERE in peers else f"ip {other} {set_of(peers)} "
    if rule.protocol is not None:
        text += f"meta l4proto {rule.protocol} "
    if rule.ports is not None:
        first, last = rule.ports
        text += f"th dport {first}-{last} "
    return text
