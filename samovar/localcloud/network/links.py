"""Computes the links, addresses and neighbours of a network, and the `ip` commands that lead to them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from samovar.localcloud.network.model import Network, Subnet
from samovar.localcloud.network.names import (
    API,
    BRIDGES,
    CLIENTS,
    HEALTH_CHECKS,
    INTERFACE,
    METADATA,
    PORTS,
    UPLINK,
    UPLINK_GATEWAY,
    Names,
    bridge,
    bridge_mac,
    gateway,
    name_server,
    port,
)

Neighbour = tuple[str, str]
"""An interface and an address on it."""


@dataclass(frozen=True)
class Bridge:
    """A subnet's bridge; `addresses` with their prefix length, the gateway's first: replies are masked behind it."""

    name: str
    mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Port:
    """A machine's cable, from its bridge to the `eth0` in its own namespace."""

    name: str
    bridge: str
    mac: str
    namespace: str


@dataclass(frozen=True)
class Links:
    """The links that `ip` should show inside a network. Machines without power have neither port nor namespace."""

    bridges: tuple[Bridge, ...]
    ports: tuple[Port, ...]
    neighbours: Mapping[Neighbour, str]


@dataclass(frozen=True)
class Link:
    """An interface as the kernel has it now."""

    up: bool
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CurrentLinks:
    """The interfaces and permanent neighbours that a network has now, and those namespaces of machines that exist."""

    links: Mapping[str, Link] = field(default_factory=dict)
    neighbours: frozenset[Neighbour] = frozenset()
    namespaces: frozenset[str] = frozenset()


def links(network: Network, names: Names) -> Links:
    """Return the links that a network should have."""
    bridges = {subnet.id: bridge(subnet) for subnet in network.subnets}
    return Links(
        bridges=tuple(map(_bridge, network.subnets)),
        ports=tuple(
            Port(port(nic), bridges[nic.subnet_id], nic.mac, names.machine(nic.machine_id))
            for nic in network.nics
            if nic.plugged
        ),
        neighbours={(bridges[nic.subnet_id], str(nic.address)): nic.mac for nic in network.nics},
    )


def _bridge(subnet: Subnet) -> Bridge:
    addresses = f"{gateway(subnet)}/{subnet.cidr.prefixlen}", f"{name_server(subnet)}/32"
    return Bridge(name=bridge(subnet), mac=bridge_mac(subnet), addresses=addresses)


def changes(desired: Links, current: CurrentLinks) -> tuple[str, ...]:
    """Return lines for `ip -batch` inside the network's namespace. New ports stay down; a line may set what holds."""
    return (
        *_removals(desired, current),
        *_bridges(desired, current),
        *_ports(missing(desired, current)),
        *_neighbours(desired),
    )


def missing(desired: Links, current: CurrentLinks) -> tuple[Port, ...]:
    """Return the ports to create. One that is down lost its power and is created anew: a power cut leaves nothing."""
    return tuple(port for port in desired.ports if not _is_complete(port, current))


def raising(ports: Iterable[Port]) -> tuple[str, ...]:
    """Return lines for `ip -batch` that set ports up, once both of their ends exist: a port that is up is complete."""
    return tuple(f"link set {port.name} up" for port in ports)


def forwarding(desired: Links) -> tuple[str, ...]:
    """Return lines for `bridge -batch`: the bridges learn nothing by themselves, so no machine can pass for another.

    A port takes nothing from its machine before it has its line here, for it is locked.
    """
    return tuple(f"fdb replace {port.mac} dev {port.name} master static" for port in desired.ports)


def _is_complete(port: Port, current: CurrentLinks) -> bool:
    return port.name in current.links and current.links[port.name].up and port.namespace in current.namespaces


def _removals(desired: Links, current: CurrentLinks) -> Iterator[str]:
    """Ports go before namespaces: a namespace gives the names of its links free only some time after its end."""
    complete = {port.name: port.namespace for port in desired.ports if _is_complete(port, current)}
    keep = {*complete, *(bridge.name for bridge in desired.bridges)}
    ours = (name for name in current.links if name.startswith((PORTS, BRIDGES)))
    yield from (f"link del {name}" for name in sorted(ours, reverse=True) if name not in keep)
    yield from (f"netns del {name}" for name in sorted(current.namespaces - set(complete.values())))
    lost = {bridge for bridge, _ in current.neighbours} & {bridge.name for bridge in desired.bridges}
    yield from (
        f"neigh del {address} dev {bridge}"
        for bridge, address in sorted(current.neighbours - desired.neighbours.keys())
        if bridge in lost
    )


def _bridges(desired: Links, current: CurrentLinks) -> Iterator[str]:
    for want in desired.bridges:
        now = current.links.get(want.name)
        if now is None:
            yield f"link add {want.name} address {want.mac} type bridge forward_delay 0 mcast_snooping 0"
        else:
            yield from (f"address del {old} dev {want.name}" for old in sorted(now.addresses - {*want.addresses}))
        yield from (f"address replace {address} dev {want.name}" for address in want.addresses)
        yield f"link set {want.name} up"


def _ports(ports: tuple[Port, ...]) -> Iterator[str]:
    """Isolated ports do not see each other: every packet is routed, hence filtered.

    A locked port takes packets from its machine's MAC alone, as `forwarding` knows it.
    """
    for each in ports:
        yield f"netns add {each.namespace}"
        yield f"link add {each.name} type veth peer name {INTERFACE} address {each.mac} netns {each.namespace}"
        yield f"link set {each.name} master {each.bridge}"
        yield f"link set {each.name} type bridge_slave isolated on learning off flood off locked on"


def _neighbours(desired: Links) -> Iterator[str]:
    for (device, address), mac in desired.neighbours.items():
        yield f"neigh replace {address} lladdr {mac} dev {device} nud permanent"


def sysctls(desired: Links) -> Mapping[str, str]:
    """Return the settings below /proc/sys/net inside the network.

    `proxy_delay` 0: first connects take 0.6 ms instead of up to 0.8 s. `route_localnet`: replies to the host's
    clients come in by the bridges. Connection tracking forgets ended flows sooner than in 2 minutes, or 2000
    connections a second fill its table; and idle ones after 180 s, as Yandex Cloud documents (security-groups.md).
    """
    settings = {
        "ipv4/ip_forward": "1",
        "bridge/bridge-nf-call-iptables": "0",
        "netfilter/nf_conntrack_tcp_timeout_time_wait": "10",
        "netfilter/nf_conntrack_tcp_timeout_established": "180",
        f"ipv4/conf/{UPLINK}/route_localnet": "1",
    }
    for scope in ("all", "default"):
        settings |= {f"ipv4/conf/{scope}/send_redirects": "0", f"ipv4/conf/{scope}/rp_filter": "0"}
        settings |= {f"ipv6/conf/{scope}/disable_ipv6": "1"}
    for each in desired.bridges:
        settings |= {f"ipv4/conf/{each.name}/{key}": "1" for key in ("proxy_arp_pvlan", "route_localnet")}
        settings |= {f"ipv4/conf/{each.name}/send_redirects": "0", f"ipv4/neigh/{each.name}/proxy_delay": "0"}
    return settings


def uplink_creation(network_netns: str, host_link: str, macs: tuple[str, str]) -> str:
    """Return the line for `ip -batch` on the host that creates the cable between the host and a network."""
    host_mac, mac = macs
    return f"link add {host_link} address {host_mac} type veth peer name {UPLINK} address {mac} netns {network_netns}"


def uplink_inside(macs: tuple[str, str]) -> tuple[str, ...]:
    """Return lines for the network's side: its own addresses, and the route back to the host's clients."""
    return (
        "link set lo up",
        *(f"address replace {address}/32 dev lo" for address in (METADATA, HEALTH_CHECKS, API)),
        f"link set {UPLINK} up",
        f"neigh replace {CLIENTS} lladdr {macs[0]} dev {UPLINK} nud permanent",
        f"route replace table local {CLIENTS}/32 dev {UPLINK} scope link",
    )


def uplink_on_host(
    host_link: str, macs: tuple[str, str], public: frozenset[IPv4Address], routed: frozenset[IPv4Address]
) -> tuple[str, ...]:
    """Return lines for the host's side. A route in table `local`, more specific than 127.0.0.0/8, needs no NAT."""
    return (
        f"link set {host_link} up",
        f"neigh replace {UPLINK_GATEWAY} lladdr {macs[1]} dev {host_link} nud permanent",
        *(f"route del table local {address}/32 dev {host_link}" for address in sorted(routed - public)),
        *(
            f"route replace table local {address}/32 via {UPLINK_GATEWAY} dev {host_link} src {CLIENTS} onlink"
            for address in sorted(public)
        ),
    )


def uplink_sysctls(host_link: str) -> Mapping[str, str]:
    """Return the settings below /proc/sys/net of the host's end of the cable; they end with it."""
    return {f"ipv4/conf/{host_link}/route_localnet": "1", f"ipv6/conf/{host_link}/disable_ipv6": "1"}


def public_addresses(network: Network, names: Names) -> frozenset[IPv4Address]:
    """Return the addresses that the host reaches in this network: of external balancers, and of machines.

    Those of another cloud's range are never routed: they are answered by its machines.
    """
    nics = {nic.public for nic in network.nics if nic.public}
    return frozenset(
        address for address in nics | {each.address for each in network.forwards} if address in names.public
    )
