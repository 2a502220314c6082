"""A network's nftables ruleset as text: what machines may say, public addresses, balancers. It is swapped whole.

What cannot be delivered is dropped, never refused, as in a VPC: a machine without power is silent, and so is the
world for a machine that has no way out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from samovar.localcloud.network import load_balancing, security_rules
from samovar.localcloud.network.mirrors import Mirror
from samovar.localcloud.network.names import API, API_PORT, CLIENTS, HEALTH_CHECKS, UPLINK, WAY_OUT
from samovar.localcloud.network.nft import FROM_MACHINES, TO_MACHINES, chain, set_of
from samovar.localcloud.network.spec import Network

TABLE = "samovar"
CLIENT_ADDRESS = "@th,288,48"
"""The six bytes of chaddr: 28 bytes into the DHCP packet, which follows 8 bytes of UDP."""


def ruleset(network: Network, mirrors: Collection[Mirror] = ()) -> str:
    """The input of `nft -f`: one transaction that replaces the table. Flows that are tracked keep their target."""
    chains = (
        chain("arriving", security_rules.arriving(network)),
        chain("dhcp", _dhcp(network)),
        chain("guard", _guard(network), "filter hook prerouting priority raw"),
        chain("own", load_balancing.own(network.forwards), "filter hook prerouting priority mangle"),
        chain("leaving", security_rules.leaving(network), "filter hook prerouting priority mangle + 1"),
        chain("balance", _translated(network), "nat hook prerouting priority dstnat"),
        chain("forwarded", _forwarded(network, mirrors), "filter hook forward priority filter"),
        chain("received", _received(network), "filter hook input priority filter"),
        chain("sent", _sent(), "filter hook output priority filter"),
        chain("masked", _masked(), "nat hook postrouting priority srcnat"),
    )
    # A table is named before it is deleted, so that there is one to delete.
    return f"table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n{''.join(chains)}}}\n"


def _guard(network: Network) -> Iterator[str]:
    """A machine speaks with its own addresses alone, and never of 127.0.0.0/8, public addresses among them.

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
    yield from load_balancing.spread(network)
    for nic in network.nics:
        if nic.public:
            yield f'iifname "{UPLINK}" ip daddr {nic.public} dnat to {nic.address}'


def _forwarded(network: Network, mirrors: Collection[Mirror]) -> Iterator[str]:
    yield from load_balancing.closed(network.forwards)
    yield security_rules.OPEN
    yield f'oifname "{UPLINK}" drop'
    yield from _outward(network, mirrors)
    yield from load_balancing.undelivered(network.forwards)
    yield "goto arriving"


def _outward(network: Network, mirrors: Collection[Mirror]) -> Iterator[str]:
    """Nothing comes in by the way out but answers."""
    doors = [f"{address} . {mirror.port}" for mirror in mirrors for address in mirror.addresses]
    outgoing = [nic.address for nic in network.nics if nic.egress]
    if doors and outgoing:
        to = f"ip daddr . tcp dport {set_of(dict.fromkeys(doors))}"
        yield f'oifname "{WAY_OUT}" ip saddr {set_of(outgoing)} {to} accept'
    yield f'oifname "{WAY_OUT}" drop'
    yield f'iifname "{WAY_OUT}" drop'


def _received(network: Network) -> Iterator[str]:
    """The API answers those who have a way out; for all others it is as far away as the world is."""
    yield f'iifname {{ "{UPLINK}", "{WAY_OUT}" }} drop'
    if outgoing := [nic.address for nic in network.nics if nic.egress]:
        yield f"{FROM_MACHINES} ip saddr {set_of(outgoing)} ip daddr {API} tcp dport {API_PORT} accept"
    yield f"{FROM_MACHINES} ip daddr {API} drop"


def _sent() -> Iterator[str]:
    yield f'oifname {{ "{UPLINK}", "{WAY_OUT}" }} ct state new drop'
    yield "icmp type destination-unreachable icmp code != frag-needed drop"
    yield f"{TO_MACHINES} ip saddr {HEALTH_CHECKS} ct state new goto arriving"


def _masked() -> Iterator[str]:
    """The host's clients come from 127.65.0.1, which no machine would answer."""
    yield f"ip saddr {CLIENTS} {TO_MACHINES} masquerade"
    yield f'oifname "{WAY_OUT}" masquerade'
