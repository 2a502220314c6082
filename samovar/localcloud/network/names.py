"""Names, addresses and MACs of what a cloud's networks put on the host. Pure: all follows from numbers and ids."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2s
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from samovar.localcloud.network.model import Nic, Subnet

NETNS_DIR = Path("/run/netns")
DOMAIN = "internal"

PUBLIC = IPv4Network("127.66.0.0/16")
"""The public addresses of all local clouds of a host; the third byte is a cloud's number."""
CLIENTS = IPv4Address("127.65.0.1")
"""The source of every connection that the host opens to a public address."""
METADATA = IPv4Address("169.254.169.254")
HEALTH_CHECKS = IPv4Address("198.18.235.2")
"""Where health checks come from, one address of HEALTH_CHECK_RANGES."""
HEALTH_CHECK_RANGES = IPv4Network("198.18.235.0/24"), IPv4Network("198.18.248.0/24")
"""As Yandex Cloud documents them (health-check.md)."""
API, API_PORT = IPv4Address("198.18.0.1"), 443
"""The address at which the API answers inside a network, for machines that have egress."""
API_NAME = f"api.{DOMAIN}"
UPLINK_GATEWAY = IPv4Address("198.18.235.1")
"""The next hop of public addresses as the host sees it: a permanent neighbour, never a packet's address."""

UPLINK = "pub0"
"""A network's end of the cable to the host."""
EGRESS_LINK = "out0"
"""A network's interface to the package mirrors."""
INTERFACE = "eth0"
"""A machine's end of its cable."""
BRIDGES = "br"
PORTS = "m"
INTERFACE_NAME = 15
"""The longest name that Linux gives an interface."""


@dataclass(frozen=True)
class Names:
    """The names of cloud `number` (1-254); no other cloud on the host uses them."""

    number: int

    @property
    def prefix(self) -> str:
        return f"samovar-{self.number}-"

    @property
    def host_link_prefix(self) -> str:
        return f"smv{self.number}h"

    @property
    def public(self) -> IPv4Network:
        return IPv4Network(f"127.66.{self.number}.0/24")

    def network(self, index: int) -> str:
        return f"{self.prefix}{index}"

    def machine(self, machine_id: str) -> str:
        return f"{self.prefix}{machine_id}"

    def host_link(self, index: int) -> str:
        return f"{self.host_link_prefix}{index}"

    def uplink_macs(self, index: int) -> tuple[str, str]:
        """Return the MACs of the host's end and of the network's; udev would replace one that is not set."""
        return f"0e:42:{self.number:02x}:{index:02x}:00:01", f"0e:42:{self.number:02x}:{index:02x}:00:02"


def bridge(subnet: Subnet) -> str:
    """Return the name of a subnet's bridge."""
    return f"{BRIDGES}{subnet.index}"


def bridge_mac(subnet: Subnet) -> str:
    """Return the bridge's MAC, which would change with its ports if it were not set."""
    return f"0e:42:00:00:01:{subnet.index:02x}"


def gateway(subnet: Subnet) -> IPv4Address:
    """Return the first address of a subnet, as in Yandex Cloud."""
    return subnet.cidr.network_address + 1


def name_server(subnet: Subnet) -> IPv4Address:
    """Return the second address of a subnet, as in Yandex Cloud."""
    return subnet.cidr.network_address + 2


def port(nic: Nic) -> str:
    """Return the name of a machine's port on its bridge, made of all that cannot be changed on a port."""
    digest = blake2s(f"{nic.machine_id} {nic.subnet_id} {nic.mac}".encode()).hexdigest()
    return f"{PORTS}{digest}"[:INTERFACE_NAME]
