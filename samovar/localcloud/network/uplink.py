"""The uplink is the cable between the host and a network, and carries public addresses. Pure: lines for `ip -batch`."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

from samovar.localcloud.network.model import Network
from samovar.localcloud.network.names import API, CLIENTS, HEALTH_CHECKS, METADATA, UPLINK, UPLINK_GATEWAY, Names


def creation(network_netns: str, host_link: str, macs: tuple[str, str]) -> str:
    """Returns the line for `ip -batch` on the host that creates the cable between the host and a network."""
    host_mac, mac = macs
    return f"link add {host_link} address {host_mac} type veth peer name {UPLINK} address {mac} netns {network_netns}"


def inside_network(macs: tuple[str, str]) -> tuple[str, ...]:
    """Returns lines for the network's side: its own addresses, and the route back to the host's clients."""
    return (
        "link set lo up",
        *(f"address replace {address}/32 dev lo" for address in (METADATA, HEALTH_CHECKS, API)),
        f"link set {UPLINK} up",
        f"neigh replace {CLIENTS} lladdr {macs[0]} dev {UPLINK} nud permanent",
        f"route replace table local {CLIENTS}/32 dev {UPLINK} scope link",
    )


def on_host(
    host_link: str, macs: tuple[str, str], public: frozenset[IPv4Address], routed: frozenset[IPv4Address]
) -> tuple[str, ...]:
    """Returns lines for the host's side. A route in table `local`, more specific than 127.0.0.0/8, needs no NAT."""
    return (
        f"link set {host_link} up",
        f"neigh replace {UPLINK_GATEWAY} lladdr {macs[1]} dev {host_link} nud permanent",
        *(f"route del table local {address}/32 dev {host_link}" for address in sorted(routed - public)),
        *(
            f"route replace table local {address}/32 via {UPLINK_GATEWAY} dev {host_link} src {CLIENTS} onlink"
            for address in sorted(public)
        ),
    )


def host_sysctls(host_link: str) -> Mapping[str, str]:
    """Returns the settings below /proc/sys/net of the host's end of the cable; they end with it."""
    return {f"ipv4/conf/{host_link}/route_localnet": "1", f"ipv6/conf/{host_link}/disable_ipv6": "1"}


def public_addresses(network: Network, names: Names) -> frozenset[IPv4Address]:
    """Returns the addresses that the host reaches in this network: of external balancers, and of machines.

    Those of another cloud's range are never routed: they are answered by its machines.
    """
    nics = {nic.public for nic in network.nics if nic.public}
    return frozenset(
        address for address in nics | {each.address for each in network.forwards} if address in names.public
    )
