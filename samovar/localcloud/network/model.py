"""Networks are values: the rest of the local cloud hands whole ones to the fabric, which brings the kernel in line."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from samovar.localcloud.network.health_checks import Result, Target


class Transport(StrEnum):
    """The protocols that a listener takes."""

    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True)
class Subnet:
    """A subnet: a bridge. `.1` is its gateway, `.2` its name server. `index` is unique within the network (1-99).

    Balancers inside the network send to targets in the client's `zone` first.
    """

    id: str
    index: int
    cidr: IPv4Network
    zone: str = ""


@dataclass(frozen=True)
class Nic:
    """A machine's network interface. `hostname` and `aliases` are the names under which the network's DNS knows it.

    `plugged` is False for a machine without power. `public` is its one-to-one NAT address, if it has one. `egress`
    says whether it may leave the network: it has a public address, or a route to a NAT gateway. DNS has none of its
    names yet where it is not `named`.
    """

    machine_id: str
    subnet_id: str
    mac: str
    address: IPv4Address
    hostname: str
    plugged: bool = True
    aliases: tuple[str, ...] = ()
    public: IPv4Address | None = None
    egress: bool = False
    named: bool = True


@dataclass(frozen=True)
class Forward:
    """One listener of a balancer: connections to `address:port` go to `target_port` of one of `targets`.

    `address` is a public one (127.66.N.x), or an address of one of the network's own subnets. `registered` are all
    targets that the balancer has, also those that it does not send to now; `checked` are the ports that it probes.
    """

    address: IPv4Address
    port: int
    transport: Transport
    target_port: int
    targets: tuple[IPv4Address, ...]
    registered: tuple[IPv4Address, ...]
    checked: tuple[tuple[IPv4Address, int], ...] = ()

    @property
    def is_internal(self) -> bool:
        return not self.address.is_loopback


@dataclass(frozen=True, order=True)
class Mirror:
    """A server of packages, by the name that apt knows it by."""

    name: str
    port: int
    addresses: tuple[IPv4Address, ...]


class Direction(StrEnum):
    """The direction of the packets that a rule is about, as the machine has it."""

    INGRESS = "ingress"
    EGRESS = "egress"


@dataclass(frozen=True)
class Rule:
    """A rule of a security group lets packets through, from or to `peers`.

    `protocol` is its IP number, `ports` the first and last; None is any. Groups and predefined targets are
    given by their addresses.
    """

    direction: Direction
    peers: tuple[IPv4Network, ...]
    protocol: int | None = None
    ports: tuple[int, int] | None = None


@dataclass(frozen=True)
class SecurityGroup:
    """The rules that hold for its members. A machine of no group may send and be sent anything."""

    members: tuple[IPv4Address, ...]
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Network:
    """The whole of a VPC network. `index` (1-99) is unique within the cloud."""

    id: str
    index: int
    subnets: tuple[Subnet, ...] = ()
    nics: tuple[Nic, ...] = ()
    forwards: tuple[Forward, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()


class Fabric(Protocol):
    """Brings the host's kernel in line with networks as values. Every call can be repeated."""

    async def apply(self, network: Network) -> None:
        """Make what is missing, change what differs, remove what is no longer there; rules in one transaction."""

    async def remove(self, network_id: str) -> None:
        """Remove everything of the network from the host."""

    async def unplug(self, network_id: str, machine_id: str) -> None:
        """Take the machine's port down at once, as a power cut does, before anything answers for it."""

    async def forget_flows(self, network_id: str, target: IPv4Address) -> None:
        """End the flows that connection tracking still sends to a target that left a balancer."""

    def netns_of(self, machine_id: str) -> str:
        """Return the name of the network namespace that holds the machine's eth0."""

    def socket_in(self, network_id: str, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        """Return a socket of the network's own namespace, not bound, not blocking, to listen and to probe by."""

    async def probe(self, target: Target) -> Result:
        """Probe a target once, from the network's own address for health checks, within the check's timeout."""

    async def routed(self) -> frozenset[IPv4Address] | None:
        """Return the public addresses that the host routes to these networks; None where there is no host."""

    async def close(self) -> None:
        """Remove every network that is left, of an earlier run of the daemon too."""
