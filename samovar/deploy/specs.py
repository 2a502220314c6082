"""What an environment is made of, as values: resources that refer to each other by name, never by id.

What is wanted and what the cloud has are told in the same words, so that a plan is a comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import ClassVar, NamedTuple


class Kind(StrEnum):
    """The kinds of resources, in the order of their making: each refers only to kinds above it, or to its own."""

    ADDRESS = "address"
    NETWORK = "network"
    GATEWAY = "gateway"
    ROUTE_TABLE = "route-table"
    SUBNET = "subnet"
    INTERNAL_ADDRESS = "internal-address"
    SECURITY_GROUP = "security-group"
    SERVICE_ACCOUNT = "service-account"
    SECRET = "secret"  # noqa: S105 - a kind, not a secret  # pragma: allowlist secret
    DISK = "disk"
    RECORD = "data-record"
    GROUP = "instance-group"
    BALANCER = "balancer"


class Ref(NamedTuple):
    """A resource of an environment by kind and name."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Spec:
    """What a resource is.

    `FIXED` names the fields that the API cannot change: there a new resource takes its place. `BORN` names those that
    matter at its making alone: what is there is right, whatever they say.
    """

    KIND: ClassVar[Kind]
    FIXED: ClassVar[frozenset[str]] = frozenset()
    BORN: ClassVar[frozenset[str]] = frozenset()

    def refs(self) -> Iterator[Ref]:
        """The resources that must be there before this one."""
        yield from ()

    def differing(self, other: Spec) -> tuple[str, ...]:
        """The names of the fields that are not the same in both."""
        names = [item.name for item in fields(self) if item.name not in self.BORN]
        return tuple(name for name in names if getattr(self, name) != getattr(other, name))


@dataclass(frozen=True, kw_only=True)
class Protectable(Spec):
    """A kind of resource that the API does not delete while its `deletion_protection` is on."""

    deletion_protection: bool = False


@dataclass(frozen=True)
class HealthCheck:
    """HTTP 200 on `path`, asked every `interval` seconds; thresholds are counts in a row."""

    port: int
    path: str
    interval: int = 2
    timeout: int = 1
    unhealthy: int = 2
    healthy: int = 2


@dataclass(frozen=True)
class Deploy:
    """How machines are replaced: one more first, then one less, so that none is missing meanwhile."""

    max_unavailable: int = 0
    max_expansion: int = 1
    max_creating: int = 0
    max_deleting: int = 0
    startup_seconds: int = 0


@dataclass(frozen=True)
class Template:
    """What each machine of a group is born from; a change here replaces machines. Sizes in bytes.

    `tells` are the resources that stand as tokens in the metadata; `issues` are the forms of the metadata service in
    which a machine gets its account's IAM token.
    """

    name: str
    hostname: str
    image: str
    network: str
    subnets: tuple[str, ...]
    cores: int
    core_fraction: int
    memory: int
    disk: int
    metadata: tuple[tuple[str, str], ...]
    tells: tuple[Ref, ...] = ()
    security_group: str = ""
    service_account: str = ""
    issues: tuple[str, ...] = ()
    data_disk: str = ""
    public: bool = False
    platform: str = "standard-v3"
    disk_type: str = "network-ssd"

    def refs(self) -> Iterator[Ref]:
        """What its machines are made with beside network and subnets, and what their metadata tell of."""
        named = {
            Kind.SECURITY_GROUP: self.security_group,
            Kind.SERVICE_ACCOUNT: self.service_account,
            Kind.DISK: self.data_disk,
        }
        yield from (Ref(kind, name) for kind, name in named.items() if name)
        yield from self.tells


@dataclass(frozen=True)
class InstanceGroup(Protectable):
    """A group of equal machines that heals itself; with `balanced` it keeps a target group of its own name."""

    KIND = Kind.GROUP
    FIXED = frozenset({"balanced"})

    size: int
    zones: tuple[str, ...]
    template: Template
    check: HealthCheck
    service_account: str
    balanced: bool
    deploy: Deploy = field(default_factory=Deploy)

    def refs(self) -> Iterator[Ref]:
        yield Ref(Kind.SERVICE_ACCOUNT, self.service_account)
        yield Ref(Kind.NETWORK, self.template.network)
        yield from (Ref(Kind.SUBNET, name) for name in self.template.subnets)
        yield from self.template.refs()


@dataclass(frozen=True)
class Listener:
    """One port of a balancer; `name` is the scheme that is spoken there."""

    name: str
    port: int
    target_port: int

    def __str__(self) -> str:
        return f"{self.name} {self.port}"


@dataclass(frozen=True)
class Balancer(Protectable):
    """A network load balancer on a reserved address before one group's targets; one with a subnet is internal."""

    KIND = Kind.BALANCER
    FIXED = frozenset({"subnet"})

    address: str
    listeners: tuple[Listener, ...]
    group: str
    check: HealthCheck
    subnet: str = ""

    def refs(self) -> Iterator[Ref]:
        yield Ref(Kind.INTERNAL_ADDRESS if self.subnet else Kind.ADDRESS, self.address)
        if self.subnet:
            yield Ref(Kind.SUBNET, self.subnet)
        yield Ref(Kind.GROUP, self.group)


@dataclass(frozen=True)
class Resource:
    """A resource that is wanted; `group` is the group whose own it is, or empty."""

    name: str
    spec: Spec
    group: str = ""

    @property
    def ref(self) -> Ref:
        return Ref(self.spec.KIND, self.name)


@dataclass(frozen=True)
class Existing(Resource):
    """A resource that the cloud has."""

    id: str = ""


@dataclass(frozen=True)
class Desired:
    """All that an environment shall have."""

    environment: str
    resources: tuple[Resource, ...]


@dataclass(frozen=True)
class Observed:
    """All that the cloud has of an environment, and the images that its machines can be made from, by name.

    `others` are resources that are not the environment's, each with the environment that it belongs to, or "".
    """

    environment: str
    resources: tuple[Existing, ...] = ()
    images: tuple[tuple[str, str], ...] = ()
    others: tuple[tuple[Ref, str], ...] = ()

    def ids(self) -> dict[Ref, str]:
        return {existing.ref: existing.id for existing in self.resources}
