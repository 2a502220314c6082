"""What groups stand on, as values: addresses, networks and their ways out, rights, secrets, disks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from samovar.deploy.specs import Kind, Protectable, Ref, Spec


@dataclass(frozen=True)
class Address(Protectable):
    """A public IPv4 address, reserved before anything else, so that a name can point to it for good."""

    KIND = Kind.ADDRESS
    BORN = frozenset({"zone"})

    zone: str


@dataclass(frozen=True)
class Network(Spec):
    """A VPC network."""

    KIND = Kind.NETWORK


@dataclass(frozen=True)
class Gateway(Spec):
    """The way out of machines that have no public address."""

    KIND = Kind.GATEWAY


@dataclass(frozen=True)
class RouteTable(Spec):
    """Everything that leaves the network goes to the gateway."""

    KIND = Kind.ROUTE_TABLE
    FIXED = frozenset({"network"})

    network: str
    gateway: str

    def refs(self) -> Iterator[Ref]:
        yield Ref(Kind.NETWORK, self.network)
        yield Ref(Kind.GATEWAY, self.gateway)


@dataclass(frozen=True)
class Subnet(Spec):
    """A zone's part of a network's range; one without a route table is for machines with public addresses."""

    KIND = Kind.SUBNET
    FIXED = frozenset({"network", "zone", "cidr"})

    network: str
    zone: str
    cidr: str
    route_table: str = ""

    def refs(self) -> Iterator[Ref]:
        yield Ref(Kind.NETWORK, self.network)
        if self.route_table:
            yield Ref(Kind.ROUTE_TABLE, self.route_table)


@dataclass(frozen=True)
class InternalAddress(Protectable):
    """An address of the network's own, reserved before the groups, so that they can be told of it."""

    KIND = Kind.INTERNAL_ADDRESS
    FIXED = frozenset({"subnet"})

    subnet: str

    def refs(self) -> Iterator[Ref]:
        yield Ref(Kind.SUBNET, self.subnet)


WORLD = "0.0.0.0/0"
CHECKS, SELF = "loadbalancer_healthchecks", "self_security_group"
"""The API's own names for where balancers ask from, and for the machines of the very group."""
TCP, UDP = "TCP", "UDP"
"""As the API names them."""


@dataclass(frozen=True, order=True)
class Rule:
    """What is let through: `port` 0 is every port; `peer` is a range, a security group's name, CHECKS or SELF."""

    inbound: bool
    port: int
    peer: str
    protocol: str = TCP

    def __str__(self) -> str:
        port = f"{self.port or 'any'}{'' if self.protocol == TCP else f' ({self.protocol})'}"
        return f"{'from' if self.inbound else 'to'} {self.peer} port {port}"


@dataclass(frozen=True)
class SecurityGroup(Spec):
    """What may reach the machines of a group, and what they may reach; all else is dropped."""

    KIND = Kind.SECURITY_GROUP
    FIXED = frozenset({"network"})

    network: str
    rules: tuple[Rule, ...]

    def refs(self) -> Iterator[Ref]:
        yield Ref(Kind.NETWORK, self.network)
        for peer in sorted({rule.peer for rule in self.rules}):
            if peer not in {CHECKS, SELF} and "/" not in peer:
                yield Ref(Kind.SECURITY_GROUP, peer)


@dataclass(frozen=True)
class ServiceAccount(Spec):
    """An account with its roles in the folder: that of the group service, or one of machines, which has none."""

    KIND = Kind.SERVICE_ACCOUNT

    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Secret(Protectable):
    """A secret and the accounts that may read it. `addresses` and `domain` are whom a certificate is made for.

    `provided`: the operator put a certificate of his own in its place; whom that is for is his to say.
    """

    KIND = Kind.SECRET
    FIXED = frozenset({"type"})
    BORN = frozenset({"addresses", "provided"})

    type: str
    readers: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    domain: str = ""
    provided: bool = False

    def differing(self, other: Spec) -> tuple[str, ...]:
        return tuple(name for name in super().differing(other) if not (self.provided and name == "domain"))

    def refs(self) -> Iterator[Ref]:
        yield from (Ref(Kind.SERVICE_ACCOUNT, name) for name in self.readers)
        yield from (Ref(Kind.ADDRESS, name) for name in self.addresses)


@dataclass(frozen=True)
class Disk(Spec):
    """A disk that outlives machines, groups and the environment. `size` in bytes."""

    KIND = Kind.DISK
    BORN = frozenset({"type", "zone"})

    size: int
    type: str
    zone: str


@dataclass(frozen=True)
class DataRecord(Protectable):
    """Whether a data disk got its rows, kept apart from the disk: an empty one is a loss from then on.

    `disk` is the one that it is about: another one in its place means that the first one is lost, whatever was on it.
    `seeded` becomes true once the group was seen healthy with its disk, and stays so while the data lives.
    """

    KIND = Kind.RECORD
    BORN = frozenset({"seeded"})

    readers: tuple[str, ...]
    disk: str
    seeded: bool = False

    def refs(self) -> Iterator[Ref]:
        yield from (Ref(Kind.SERVICE_ACCOUNT, name) for name in self.readers)
        if self.disk:
            yield Ref(Kind.DISK, self.disk)
