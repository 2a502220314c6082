"""The resources of an environment as values. They refer to each other by name, never by id.

Desired and existing resources are described by the same specs, so that a plan is a comparison.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar, Generic, NamedTuple, TypeVar


class Kind(StrEnum):
    """The kinds of resource, in the order of creation: each refers only to kinds above it, or to its own."""

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
    SNAPSHOT_SCHEDULE = "snapshot-schedule"
    SEED_RECORD = "seed-record"
    INSTANCE_GROUP = "instance-group"
    LOAD_BALANCER = "load-balancer"


class Ref(NamedTuple):
    """A resource of an environment by kind and name."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Spec:
    """The properties of a resource. Each kind of resource has a subclass."""

    KIND: ClassVar[Kind]
    IMMUTABLE: ClassVar[frozenset[str]] = frozenset()
    """Fields that the API cannot change: where one differs, a new resource takes the place of the old one."""
    CREATE_ONLY: ClassVar[frozenset[str]] = frozenset()
    """Fields that are used at creation alone: an existing resource is never compared by them."""
    KEPT_ON_DESTROY: ClassVar[bool] = False
    """Whether the resource holds data, or what is known of it: deleted only by a destruction that is asked for it."""
    IRREPLACEABLE: ClassVar[bool] = False
    """Whether no rollout brings back what is deleted: a public address, a password, rows."""
    QUOTA: ClassVar[str] = ""
    """The id of the quota that counts resources of this kind, as on Yandex Cloud's limits pages."""

    def refs(self) -> Iterator[Ref]:
        """Yield the resources that must exist before this one."""
        yield from ()

    @property
    def expendable(self) -> bool:
        """Return whether a destruction deletes the resource though it holds data: its environment says so."""
        return False

    def differing(self, other: Spec) -> tuple[str, ...]:
        """Return the names of the fields that differ."""
        names = [item.name for item in fields(self) if item.name not in self.CREATE_ONLY]
        return tuple(name for name in names if getattr(self, name) != getattr(other, name))

    def quota_demand(self, *, rolling: bool) -> Mapping[str, int]:
        """Return the use of each quota, sizes in bytes. `rolling` adds the surplus machines of a rollout."""
        del rolling
        return {self.QUOTA: 1} if self.QUOTA else {}


@dataclass(frozen=True, kw_only=True)
class Protectable(Spec):
    """A kind of resource that the API does not delete while its `deletion_protection` is on."""

    deletion_protection: bool = False


SpecT_co = TypeVar("SpecT_co", bound=Spec, covariant=True)


@dataclass(frozen=True)
class Resource(Generic[SpecT_co]):
    """A desired resource. `group` is the group that it belongs to, or empty."""

    name: str
    spec: SpecT_co
    group: str = ""

    @property
    def ref(self) -> Ref:
        return Ref(self.spec.KIND, self.name)


@dataclass(frozen=True)
class Existing(Resource[SpecT_co]):
    """A resource that the cloud has."""

    id: str = ""


@dataclass(frozen=True)
class Unchanged:
    """A resource that a rollout never changes or deletes: the file names it by id, or it holds data nobody asks for."""

    kind: Kind
    name: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" if self.name == self.id else f"{self.kind} {self.name} ({self.id})"


@dataclass(frozen=True)
class Desired:
    """The resources that an environment's file asks for, and the data format of each group's image, "" where none."""

    environment: str
    resources: tuple[Resource[Spec], ...]
    data_formats: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Observed:
    """The resources that the cloud has of an environment, and ids of the images for its machines, by name.

    By the image's name, `min_disk_sizes` are the bytes that a boot disk has at least, and `data_formats` the formats of
    images that have one. `others` are resources that are not the environment's, each with the environment that it
    belongs to, or "". `used` are those of others that the environment names by id.
    """

    environment: str
    resources: tuple[Existing[Spec], ...] = ()
    images: tuple[tuple[str, str], ...] = ()
    min_disk_sizes: tuple[tuple[str, int], ...] = ()
    data_formats: tuple[tuple[str, str], ...] = ()
    others: tuple[tuple[Ref, str], ...] = ()
    used: tuple[Unchanged, ...] = ()

    def ids(self) -> dict[Ref, str]:
        """Return the ids of all that can be referred to; what is used from elsewhere is referred to by its id."""
        ids = {existing.ref: existing.id for existing in self.resources}
        return ids | {Ref(each.kind, each.id): each.id for each in self.used}


def group_resource_name(environment: str, group: str) -> str:
    """Return the name that a group shares with its load balancer, address, security group, account and target group."""
    return f"{environment}-{group}"


PLACEHOLDER_KINDS = (Kind.SECRET, Kind.SEED_RECORD, Kind.INTERNAL_ADDRESS)
PLACEHOLDER = re.compile(rf"<({'|'.join(PLACEHOLDER_KINDS)}) ([-a-z0-9]+)>")
ID_OR_ADDRESS = re.compile(r"[A-Za-z0-9.]+")


def placeholder(ref: Ref) -> str:
    """Return the text that stands in the metadata of machines for a resource whose id or address is not known yet.

    `<secret dev-certificate>` stands for a secret's id, `<internal-address dev-app>` for an address. So the metadata of
    desired machines can be compared with those of existing ones.
    """
    return f"<{ref.kind} {ref.name}>"


def find_placeholders(texts: Iterable[str]) -> tuple[Ref, ...]:
    """Return the resources that the texts name, each once and sorted."""
    return tuple(sorted({Ref(Kind(kind), name) for text in texts for kind, name in PLACEHOLDER.findall(text)}))


def resolve_placeholders(text: str, value: Callable[[Ref], str]) -> str:
    """Return the text as machines get it, with the `value` of each resource."""
    return PLACEHOLDER.sub(lambda match: value(Ref(Kind(match[1]), match[2])), text)


def restore_placeholders(text: str, refs: Mapping[str, Ref]) -> str:
    """Return the text with placeholders in the place of ids and addresses, which are the keys of `refs`."""
    return ID_OR_ADDRESS.sub(lambda match: placeholder(refs[match[0]]) if match[0] in refs else match[0], text)
