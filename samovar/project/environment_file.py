"""The shape of `config.yaml`: what may stand there, and which values the cloud would refuse."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from samovar.core.units import GIB, MIB
from samovar.project.environment import BalancerType, CloudKind, SecretKind

UNITS = {"M": MIB, "G": GIB, "T": 2**40}
SIZE = re.compile(r"(\d+)([MGT])")
CORES = frozenset({*range(2, 41, 2), 44, 48, 52, 56, 60, 64, 68, 72, 76, 80})
FRACTIONS = (5, 20, 50, 100)
MACHINES_A_ZONE = 2


def _size(value: object) -> int:
    match = SIZE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"a size is a whole number with M, G or T, such as 1G; not {value!r}")
    return int(match[1]) * UNITS[match[2]]


def _cores(value: int) -> int:
    if value not in CORES:
        raise ValueError(f"a machine has an even number of cores from 2 on, as the cloud offers them; not {value}")
    return value


def _fraction(value: int) -> int:
    if value not in FRACTIONS:
        raise ValueError(f"a core's share is one of {', '.join(map(str, FRACTIONS))} per cent; not {value}")
    return value


def _between(low: int, high: int, what: str) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"{what}; not {value / GIB:g}G")
        return value

    return check


def _network(value: object) -> IPv4Network:
    network = IPv4Network(value) if isinstance(value, str) else None
    if not network:
        raise ValueError(f"a network's range is text such as 10.30.0.0/16; not {value!r}")
    if not network.is_private:
        raise ValueError(f"a network's range is a private one, such as 10.30.0.0/16; not {network}")
    if not 16 <= network.prefixlen <= 24:  # noqa: PLR2004 - a subnet of the cloud is /16 to /28; each zone takes a part
        raise ValueError(f"a network's range is /16 to /24; not /{network.prefixlen}")
    return network


def _addresses(value: object) -> IPv4Network:
    if not isinstance(value, str):
        raise ValueError(f"a range of addresses is text such as 198.51.100.7/32; not {value!r}")  # noqa: TRY004 - pydantic takes it for what it is
    return IPv4Network(value)


def _differ(zones: list[str]) -> list[str]:
    if len(set(zones)) < len(zones):
        raise ValueError(f"each zone stands once in zones; not {', '.join(zones)}")
    return zones


def _not_reserved(name: str) -> str:
    if name.replace("_", "-") in RESERVED:
        raise ValueError(f"the name {name} is reserved: ENV-{name.replace('_', '-')} is the lock of a rollout")
    return name


def _not_seeded(name: str) -> str:
    if name == "seeded":
        raise ValueError("a secret named seeded is the tool's own: by it a group is told whether its disk got its rows")
    return name


RESERVED = frozenset({"rollout-lock"})
NAME = r"^[a-z]([-a-z0-9]{0,29}[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NAME), AfterValidator(_not_reserved)]
SecretName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_]{0,30}$"), AfterValidator(_not_reserved), AfterValidator(_not_seeded)
]
PUBLIC_KEY = r"^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp\d+|sk-\S+@openssh\.com) [A-Za-z0-9+/]+={0,3}( [^\n]*)?$"
CloudId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,49}$")]
Zone = Annotated[str, Field(pattern=r"^[a-z]{2}-[a-z]+[0-9]-[a-h]$")]
Port = Annotated[int, Field(ge=1, le=32767)]
Memory = Annotated[int, BeforeValidator(_size), AfterValidator(_between(GIB // 2, 256 * GIB, "memory is 512M to 256G"))]
Disk = Annotated[int, BeforeValidator(_size), AfterValidator(_between(GIB, 4096 * GIB, "a disk is 1G to 4T"))]


class Strict(BaseModel):
    """Unknown keys are refused, and values are never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MachineEntry(Strict):
    """`machine:`; the numbers that the API's own constraints allow."""

    cores: Annotated[int, AfterValidator(_cores)] = 2
    core_fraction: Annotated[int, AfterValidator(_fraction)] = 100
    memory: Memory
    disk: Disk


class HealthEntry(Strict):
    """`health:`; where each machine of the group says that it is well."""

    port: Port = 80
    path: Annotated[str, Field(pattern="^/")] = "/-/health"


class BalancerEntry(Strict):
    """`balancer:`; a listener's name is the scheme that it speaks. Without its own `health` it asks the group's."""

    type: BalancerType
    health: HealthEntry | None = None
    listeners: dict[Annotated[str, Field(pattern="^https?$")], Port] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _ports_differ(self) -> BalancerEntry:
        if len(set(self.listeners.values())) < len(self.listeners):
            raise ValueError("each listener of a balancer has a port of its own")
        return self


class OperatorEntry(Strict):
    """`operator:`; public keys as in `authorized_keys`, and the group through whose machines the way leads."""

    ssh_keys: list[Annotated[str, Field(pattern=PUBLIC_KEY)]] = Field(min_length=1)
    bastion: Name | None = None


class BakeEntry(Strict):
    """`bake:`; the addresses from which a machine that an image is baked on is reached by SSH."""

    ssh_from: Annotated[IPv4Network, BeforeValidator(_addresses)]


class DataDiskEntry(Strict):
    """`data_disk:`; it outlives the machines, and `destroy` keeps it unless it is told otherwise."""

    size: Disk
    type: Literal["network-hdd", "network-ssd", "network-ssd-nonreplicated", "network-ssd-io-m3"] = "network-ssd"


class GroupEntry(Strict):
    """One group of machines. `kind` names the file of `groups/` whose values hold where none stands here.

    `upstream` is the group that it asks; `ports` are what may be asked of its machines.
    """

    kind: Name | None = None
    image: Name
    size: Annotated[int, Field(ge=1, le=100)]
    machine: MachineEntry
    health: HealthEntry = HealthEntry()
    public: bool = False
    balancer: BalancerEntry | None = None
    settings: dict[str, Any] = {}
    upstream: Name | None = None
    ports: list[Port] = []
    secrets: list[SecretName] = []
    data_disk: DataDiskEntry | None = None

    @model_validator(mode="after")
    def _one_disk_one_machine(self) -> GroupEntry:
        if self.data_disk and self.size != 1:
            raise ValueError(f"a data disk is attached to one machine: its group has size 1, not {self.size}")
        return self


class NetworkEntry(Strict):
    """`network:`; each zone's subnet is a part of this range."""

    cidr: Annotated[IPv4Network, BeforeValidator(_network)]


class EnvironmentFile(Strict):
    """The whole file."""

    cloud: CloudKind = CloudKind.LOCAL
    folder: CloudId | None = None
    cloud_id: CloudId | None = None
    deletion_protection: bool = False
    zones: Annotated[list[Zone], Field(min_length=1), AfterValidator(_differ)]
    network: NetworkEntry
    domain: Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z]{2,}$")] | None = None
    secrets: dict[SecretName, SecretKind] = {}
    operator: OperatorEntry | None = None
    bake: BakeEntry | None = None
    groups: dict[Name, GroupEntry] = Field(min_length=1)

    @property
    def bastion(self) -> str | None:
        """The group that the file names, or the first whose machines have public addresses."""
        public = [name for name, group in self.groups.items() if group.public]
        named = self.operator and self.operator.bastion
        return named if named in public else None if named else next(iter(public), None)

    @model_validator(mode="after")
    def _way_in(self) -> EnvironmentFile:
        if self.operator and self.bastion is None:
            raise ValueError("operator: the way in leads through a group with `public: true`; let bastion name one")
        return self

    @model_validator(mode="after")
    def _promises(self) -> EnvironmentFile:
        for name, group in self.groups.items():
            for problem in (*_of_upstream(name, self.groups), *_of_secrets(group, self), *_of_zones(group, self.zones)):
                raise ValueError(f"group {name}: {problem}")
        return self


def _of_upstream(name: str, groups: Mapping[str, GroupEntry]) -> Iterator[str]:
    """Who asks whom is a way that ends: without that nobody could be told of the other's balancer first."""
    way = [name]
    while (following := groups[way[-1]].upstream) is not None:
        if following not in groups:
            yield f"upstream {following} is no group; groups: {', '.join(groups)}"
            return
        if following in way:
            yield f"upstream goes round: {' -> '.join([*way, following])}"
            return
        way.append(following)


def _of_secrets(group: GroupEntry, whole: EnvironmentFile) -> Iterator[str]:
    external = any(other.balancer and other.balancer.type is BalancerType.EXTERNAL for other in whole.groups.values())
    for secret in group.secrets:
        kind = whole.secrets.get(secret)
        if kind is None:
            yield f"secret {secret} does not stand in secrets; there: {', '.join(whole.secrets) or 'none'}"
        elif kind is SecretKind.CERTIFICATE and not external:
            yield f"secret {secret} is a certificate, and no external balancer has an address to make it for"


def _of_zones(group: GroupEntry, zones: list[str]) -> Iterator[str]:
    """An internal balancer sends to the asker's own zone while anything answers there."""
    internal = group.balancer and group.balancer.type is BalancerType.INTERNAL
    if internal and group.size < MACHINES_A_ZONE * len(zones):
        wanted = MACHINES_A_ZONE * len(zones)
        yield (
            f"an internal balancer prefers the zone of who asks: {group.size} machines in {len(zones)} zone(s) leave a "
            f"zone with one or none, whose loss is an outage; let size be {wanted} or more"
        )
