"""Renders a network's nftables ruleset: what machines may send, public addresses, balancers, security groups.

What cannot be delivered is dropped, never refused, as in a VPC: a machine without power is silent, and so is the
internet for a machine that has no egress.

Balancers spread connections by a hash of the client's address and port, and the client's address stays as it is. What
Yandex Cloud does with connections to a balancer without a healthy target is not documented: here they are dropped.

Security groups let each packet that opens a flow through by a rule, or drop it. What leaves a machine is judged by its
destination, before a balancer's address becomes a target's; what arrives, by its source, as balancers leave the
client's address alone. Clients on the host are of the internet: 0.0.0.0/0 means them, and no narrower range does. Rules
that change let open flows go on, as connection tracking knows them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

from samovar.core.constants import ANY_IPV4
from samovar.localcloud.network.model import Direction, Forward, Mirror, Network, Rule, SecurityGroup, Subnet, Transport
from samovar.localcloud.network.names import (
    API,
    API_PORT,
    BRIDGES,
    CLIENTS,
    EGRESS_LINK,
    HEALTH_CHECKS,
    METADATA,
    UPLINK,
    gateway,
    name_server,
)

TABLE = "samovar"
FROM_MACHINES, TO_MACHINES = f'iifname "{BRIDGES}*"', f'oifname "{BRIDGES}*"'
ESTABLISHED = "ct state established,related accept"
CLIENT_ADDRESS = "@th,288,48"
"""The six bytes of chaddr: 28 bytes into the DHCP packet, which follows 8 bytes of UDP."""


def ruleset(network: Network, mirrors: Collection[Mirror] = ()) -> str:
    """Return the input of `nft -f`: one transaction that replaces the table. Tracked flows keep their target."""
    chains = (
        _chain("arriving", _ingress(network)),
        _chain("dhcp", _dhcp(network)),
        _chain("guard", _guard(network), "filter hook prerouting priority raw"),
        _chain("own", _own_balancer(network.forwards), "filter hook prerouting priority mangle"),
        _chain("leaving", _egress(network), "filter hook prerouting priority mangle + 1"),
        _chain("balance", _translated(network), "nat hook prerouting priority dstnat"),
        _chain("forwarded", _forwarded(network, mirrors), "filter hook forward priority filter"),
        _chain("received", _received(network), "filter hook input priority filter"),
        _chain("sent", _sent(), "filter hook output priority filter"),
        _chain("masked", _masked(), "nat hook postrouting priority srcnat"),
    )
    # A table is named before it is deleted, so that there is one to delete.
    return f"table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n{''.join(chains)}}}\n"


def _guard(network: Network) -> Iterator[str]:
    """A machine sends with its own addresses alone, and never to 127.0.0.0/8, public addresses among them.

    The metadata service tells machines apart by source; and as the bridges route 127.0.0.0/8 for the sake of
    replies to the host's clients, a loopback service would be open otherwise.
    """
    own = set_of(f"{nic.mac} . {nic.address}" for nic in network.nics)
    yield f"{FROM_MACHINES} udp dport 67 jump dhcp"
    yield f"{FROM_MACHINES} ip saddr 0.0.0.0 udp dport 67 accept"
    yield f"{FROM_MACHINES} ether saddr . ip saddr != {own} drop" if network.nics else f"{FROM_MACHINES} drop"
    yield f"{FROM_MACHINES} ip daddr 127.0.0.0/8 drop"


def _dhcp(network: Network) -> Iterator[str]:
    """A machine asks for itself alone: the client's address in a DHCP packet (chaddr, RFC 2131) is the sender's.

    Else it could decline the address of another, which the server then gives to nobody for ten minutes.
    """
    for nic in network.nics:
        yield f"ether saddr {nic.mac} {CLIENT_ADDRESS} 0x{nic.mac.replace(':', '')} return"
    yield "drop"


def _translated(network: Network) -> Iterator[str]:
    """A machine's public address is all its own."""
    yield from _balanced(network)
    for nic in network.nics:
        if nic.public:
            yield f'iifname "{UPLINK}" ip daddr {nic.public} dnat to {nic.address}'


def _forwarded(network: Network, mirrors: Collection[Mirror]) -> Iterator[str]:
    yield from _through_balancer(network.forwards)
    yield ESTABLISHED
    yield f'oifname "{UPLINK}" drop'
    yield from _outward(network, mirrors)
    yield from _undelivered(network.forwards)
    yield "goto arriving"


def _outward(network: Network, mirrors: Collection[Mirror]) -> Iterator[str]:
    """Machines with egress reach the mirrors, and nothing comes in that way but answers."""
    servers = [f"{address} . {mirror.port}" for mirror in mirrors for address in mirror.addresses]
    outgoing = [nic.address for nic in network.nics if nic.egress]
    if servers and outgoing:
        to = f"ip daddr . tcp dport {set_of(dict.fromkeys(servers))}"
        yield f'oifname "{EGRESS_LINK}" ip saddr {set_of(outgoing)} {to} accept'
    yield f'oifname "{EGRESS_LINK}" drop'
    yield f'iifname "{EGRESS_LINK}" drop'


def _received(network: Network) -> Iterator[str]:
    """The API answers machines with egress; for all others it is as far away as the internet is."""
    yield f'iifname {{ "{UPLINK}", "{EGRESS_LINK}" }} drop'
    if outgoing := [nic.address for nic in network.nics if nic.egress]:
        yield f"{FROM_MACHINES} ip saddr {set_of(outgoing)} ip daddr {API} tcp dport {API_PORT} accept"
    yield f"{FROM_MACHINES} ip daddr {API} drop"


def _sent() -> Iterator[str]:
    yield f'oifname {{ "{UPLINK}", "{EGRESS_LINK}" }} ct state new drop'
    yield "icmp type destination-unreachable icmp code != frag-needed drop"
    yield f"{TO_MACHINES} ip saddr {HEALTH_CHECKS} ct state new goto arriving"


def _masked() -> Iterator[str]:
    """The host's clients come from 127.65.0.1, which no machine would answer."""
    yield f"ip saddr {CLIENTS} {TO_MACHINES} masquerade"
    yield f'oifname "{EGRESS_LINK}" masquerade'


def _egress(network: Network) -> Iterator[str]:
    """Judge what machines send. The metadata service, names and leases are open to all, as in Yandex Cloud."""
    if network.security_groups:
        yield ESTABLISHED
        yield f"ip daddr {METADATA} accept"
        if network.subnets:
            yield f"ip daddr {set_of(map(gateway, network.subnets))} udp dport 67 accept"
            yield f"ip daddr {set_of(map(name_server, network.subnets))} meta l4proto {{ tcp, udp }} th dport 53 accept"
        yield from _judged(network.security_groups, Direction.EGRESS)


def _ingress(network: Network) -> Iterator[str]:
    """Judge what machines are sent by each other, by clients, and by health checks."""
    yield from _judged(network.security_groups, Direction.INGRESS)


def _judged(groups: Iterable[SecurityGroup], direction: Direction) -> Iterator[str]:
    """A machine of several groups may do what any of them says; one of no group may do anything."""
    own, other = ("saddr", "daddr") if direction is Direction.EGRESS else ("daddr", "saddr")
    members = {member for group in groups for member in group.members}
    for group in groups:
        for rule in group.rules:
            if rule.direction is direction and rule.peers and group.members:
                yield f"ip {own} {set_of(group.members)} {_matched(rule, other)}accept"
    if members:
        yield f"ip {own} {set_of(sorted(members))} drop"


def _matched(rule: Rule, other: str) -> str:
    """Ranges that overlap are an error to nft, and so is a set of all addresses."""
    peers = tuple(collapse_addresses(rule.peers))
    text = "" if IPv4Network(ANY_IPV4) in peers else f"ip {other} {set_of(peers)} "
    if rule.protocol is not None:
        text += f"meta l4proto {rule.protocol} "
    elif rule.ports is not None:
        text += "meta l4proto { tcp, udp } "
    if rule.ports is not None:
        first, last = rule.ports
        text += f"th dport {first}-{last} "
    return text


def _own_balancer(forwards: Iterable[Forward]) -> Iterator[str]:
    """A target cannot reach its own balancer, whichever target would have been its turn."""
    for forward in forwards:
        if forward.registered:
            yield f"{_addressed(forward)} ip saddr {set_of(forward.registered)} drop"


def _balanced(network: Network) -> Iterator[str]:
    """A balancer inside the network sends to targets in the client's zone, to others only while there are none."""
    zones = _zones(network.subnets)
    for forward in network.forwards:
        for ranges in zones.values() if forward.is_internal else ():
            near = [target for target in forward.targets if any(target in cidr for cidr in ranges)]
            if 0 < len(near) < len(forward.targets):
                yield f"ip saddr {set_of(ranges)} {_dnat(forward, near)}"
        if forward.targets:
            yield _dnat(forward, forward.targets)


def _through_balancer(forwards: Collection[Forward]) -> Iterator[str]:
    """Ports of the targets of internal balancers, the health checks' too, are reached through a balancer alone."""
    ports: defaultdict[Transport, set[tuple[IPv4Address, int]]] = defaultdict(set)
    for forward in forwards:
        if forward.is_internal:
            ports[forward.transport] |= {(target, forward.target_port) for target in forward.registered}
            ports[Transport.TCP] |= {*forward.checked}
    balancers = set_of(sorted({forward.address for forward in forwards}))
    past_balancer = f"ct direction original ct original ip daddr != {balancers}"
    for transport, pairs in sorted(ports.items()):
        closed = set_of(f"{target} . {port}" for target, port in sorted(pairs))
        if pairs:
            yield f"{past_balancer} ip daddr . {transport} dport {closed} drop"


def _undelivered(forwards: Iterable[Forward]) -> Iterator[str]:
    """Packets to a balancer's address that were sent to no target end here."""
    if addresses := sorted({forward.address for forward in forwards}):
        yield f"ip daddr {set_of(addresses)} drop"


def _zones(subnets: Iterable[Subnet]) -> dict[str, list[IPv4Network]]:
    zones: defaultdict[str, list[IPv4Network]] = defaultdict(list)
    for subnet in subnets:
        zones[subnet.zone].append(subnet.cidr)
    return zones


def _dnat(forward: Forward, targets: Collection[IPv4Address]) -> str:
    by_number = set_of(f"{number} : {target}" for number, target in enumerate(targets))
    source = f"ip saddr . {forward.transport} sport mod {len(targets)}"
    return f"{_addressed(forward)} dnat to jhash {source} map {by_number} : {forward.target_port}"


def _addressed(forward: Forward) -> str:
    return f"ip daddr {forward.address} {forward.transport} dport {forward.port}"


def _chain(name: str, rules: Iterable[str], hook: str = "") -> str:
    """Render a chain: at a hook of the kernel, or without one for other chains to go to."""
    head = f"\t\ttype {hook}; policy accept;\n" if hook else ""
    body = "".join(f"\t\t{rule}\n" for rule in rules)
    return f"\tchain {name} {{\n{head}{body}\t}}\n"


def set_of(elements: Iterable[object]) -> str:
    """Render an anonymous set, or a map of `key : value`."""
    return "{ " + ", ".join(map(str, elements)) + " }"
