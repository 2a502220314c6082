"""Balancers as rules of nftables.

Connections are spread by a hash of the client's address and port, and the client's address stays as it is. What Yandex
Cloud does with connections to a balancer without a healthy target is not documented: here they are dropped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from samovar.localcloud.network.nft import set_of
from samovar.localcloud.network.spec import Forward, Network, Subnet, Transport


def own(forwards: Iterable[Forward]) -> Iterator[str]:
    """A target cannot reach its own balancer, whichever target would have been its turn."""
    for forward in forwards:
        if forward.registered:
            yield f"{_addressed(forward)} ip saddr {set_of(forward.registered)} drop"


def spread(network: Network) -> Iterator[str]:
    """A balancer inside the network sends to targets in the client's zone, to others only while there are none."""
    zones = _zones(network.subnets)
    for forward in network.forwards:
        for ranges in zones.values() if forward.is_internal else ():
            near = [target for target in forward.targets if any(target in cidr for cidr in ranges)]
            if 0 < len(near) < len(forward.targets):
                yield f"ip saddr {set_of(ranges)} {_sent(forward, near)}"
        if forward.targets:
            yield _sent(forward, forward.targets)


def closed(forwards: Collection[Forward]) -> Iterator[str]:
    """Ports of the targets of internal balancers, the health checks' too, are reached through a balancer alone."""
    ports: defaultdict[Transport, set[tuple[IPv4Address, int]]] = defaultdict(set)
    for forward in forwards:
        if forward.is_internal:
            ports[forward.transport] |= {(target, forward.target_port) for target in forward.registered}
            ports[Transport.TCP] |= {*forward.checked}
    through = set_of(sorted({forward.address for forward in forwards}))
    for transport, pairs in sorted(ports.items()):
        shut = set_of(f"{target} . {port}" for target, port in sorted(pairs))
        if pairs:
            yield f"ct direction original ct original ip daddr != {through} ip daddr . {transport} dport {shut} drop"


def undelivered(forwards: Iterable[Forward]) -> Iterator[str]:
    """What came to a balancer's address and was sent to no target."""
    if addresses := sorted({forward.address for forward in forwards}):
        yield f"ip daddr {set_of(addresses)} drop"


def _zones(subnets: Iterable[Subnet]) -> dict[str, list[IPv4Network]]:
    zones: defaultdict[str, list[IPv4Network]] = defaultdict(list)
    for subnet in subnets:
        zones[subnet.zone].append(subnet.cidr)
    return zones


def _sent(forward: Forward, targets: Collection[IPv4Address]) -> str:
    ways = set_of(f"{number} : {target}" for number, target in enumerate(targets))
    source = f"ip saddr . {forward.transport} sport mod {len(targets)}"
    return f"{_addressed(forward)} dnat to jhash {source} map {ways} : {forward.target_port}"


def _addressed(forward: Forward) -> str:
    return f"ip daddr {forward.address} {forward.transport} dport {forward.port}"
