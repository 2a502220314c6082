"""A network's nftables ruleset as text: what machines may say, public addresses, balancers. It is swapped whole.

What cannot be delivered is dropped, never refused, as in a VPC: a machine without power is silent, and so is the
world for a machine that has no way out. What Yandex Cloud does with connections to a balancer without a healthy
target is not documented: here they are dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from localcloud.network.names import API, API_PORT, BRIDGES, CLIENTS, UPLINK
from localcloud.network.spec import Forward, Network

TABLE = "samovar"
FROM_MACHINES = f'iifname "{BRIDGES}*"'


def ruleset(network: Network) -> str:
    """The input of `nft -f`: one transaction that replaces the table. Flows that are tracked keep their target."""
    chains = (
        _chain("guard", "filter hook prerouting priority raw", _guard(network)),
        _chain("own", "filter hook prerouting priority mangle", _own(network.forwards)),
        _chain("balance", "nat hook prerouting priority dstnat", _balance(network)),
        _chain("forwarded", "filter hook forward priority filter", _forwarded(network.forwards)),
        _chain("received", "filter hook input priority filter", _received(network)),
        _chain("sent", "filter hook output priority filter", _sent()),
        _chain("masked", "nat hook postrouting priority srcnat", _masked()),
    )
    # A table is named before it is deleted, so that there is one to delete.
    return f"table ip {TABLE}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n{''.join(chains)}}}\n"


def _chain(name: str, hook: str, rules: Iterable[str]) -> str:
    body = "".join(f"\t\t{rule}\n" for rule in rules)
    return f"\tchain {name} {{\n\t\ttype {hook}; policy accept;\n{body}\t}}\n"


def _set(elements: Iterable[object]) -> str:
    return "{ " + ", ".join(map(str, elements)) + " }"


def _guard(network: Network) -> Iterator[str]:
    """A machine speaks with its own addresses alone, and never of 127.0.0.0/8, public addresses among them.

    The metadata service tells machines apart by source; and as the bridges route 127.0.0.0/8 for the sake of
    replies to the host's clients, a loopback service would be open otherwise.
    """
    own = _set(f"{nic.mac} . {nic.address}" for nic in network.nics)
    yield f"{FROM_MACHINES} ip saddr 0.0.0.0 udp dport 67 accept"
    yield f"{FROM_MACHINES} ether saddr . ip saddr != {own} drop" if network.nics else f"{FROM_MACHINES} drop"
    yield f"{FROM_MACHINES} ip daddr 127.0.0.0/8 drop"


def _own(forwards: Iterable[Forward]) -> Iterator[str]:
    """A target cannot reach its own balancer, whichever target would have been its turn."""
    for forward in forwards:
        if forward.targets:
            yield f"{_addressed(forward)} ip saddr {_set(forward.targets)} drop"


def _balance(network: Network) -> Iterator[str]:
    """Connections are spread by a hash of the client's address and port. A machine's public address is all its own."""
    for forward in network.forwards:
        if forward.targets:
            ways = _set(f"{number} : {target}" for number, target in enumerate(forward.targets))
            source = f"ip saddr . {forward.transport} sport mod {len(forward.targets)}"
            yield f"{_addressed(forward)} dnat to jhash {source} map {ways} : {forward.target_port}"
    for nic in network.nics:
        if nic.public:
            yield f'iifname "{UPLINK}" ip daddr {nic.public} dnat to {nic.address}'


def _forwarded(forwards: Iterable[Forward]) -> Iterator[str]:
    """Here the way out will be let through, security groups be asked, and a target's port be closed to all else."""
    yield "ct state established,related accept"
    yield f'oifname "{UPLINK}" drop'
    undelivered: set[IPv4Address] = {forward.address for forward in forwards}
    if undelivered:
        yield f"ip daddr {_set(sorted(undelivered))} drop"


def _received(network: Network) -> Iterator[str]:
    """The API answers those who have a way out; for all others it is as far away as the world is."""
    yield f'iifname "{UPLINK}" drop'
    if outgoing := [nic.address for nic in network.nics if nic.egress]:
        yield f"{FROM_MACHINES} ip saddr {_set(outgoing)} ip daddr {API} tcp dport {API_PORT} accept"
    yield f"{FROM_MACHINES} ip daddr {API} drop"


def _sent() -> Iterator[str]:
    yield f'oifname "{UPLINK}" ct state new drop'
    yield "icmp type destination-unreachable icmp code != frag-needed drop"


def _masked() -> Iterator[str]:
    """The host's clients come from 127.65.0.1, which no machine would answer."""
    yield f'ip saddr {CLIENTS} oifname "{BRIDGES}*" masquerade'


def _addressed(forward: Forward) -> str:
    return f"ip daddr {forward.address} {forward.transport} dport {forward.port}"
