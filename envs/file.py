"""The shape of `config.yaml`: what may stand there, and which values the cloud would refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from envs.model import BalancerType, CloudKind

UNITS = {"M": 2**20, "G": 2**30, "T": 2**40}
SIZE = re.compile(r"(\d+)([MGT])")
CORES = frozenset({*range(2, 41, 2), 44, 48, 52, 56, 60, 64, 68, 72, 76, 80})
FRACTIONS = (5, 20, 50, 100)
GIB = 2**30


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


def _differ(zones: list[str]) -> list[str]:
    if len(set(zones)) < len(zones):
        raise ValueError(f"each zone stands once in zones; not {', '.join(zones)}")
    return zones


NAME = r"^[a-z]([-a-z0-9]{0,29}[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NAME)]
Zone = Annotated[str, Field(pattern=r"^[a-z]{2}-[a-z]+[0-9]-[a-h]$")]
Port = Annotated[int, Field(ge=1, le=32767)]
Memory = Annotated[int, BeforeValidator(_size), AfterValidator(_between(GIB // 2, 256 * GIB, "memory is 512M to 256G"))]
Disk = Annotated[int, BeforeValidator(_size), AfterValidator(_between(GIB, 4096 * GIB, "a disk is 1G to 4T"))]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MachineEntry(_Strict):
    """`machine:`; the numbers that the API's own constraints allow."""

    cores: Annotated[int, AfterValidator(_cores)] = 2
    core_fraction: Annotated[int, AfterValidator(_fraction)] = 100
    memory: Memory
    disk: Disk


class BalancerEntry(_Strict):
    """`balancer:`; a listener's name is the scheme that it speaks."""

    type: BalancerType
    listeners: dict[Annotated[str, Field(pattern="^https?$")], Port] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _ports_differ(self) -> BalancerEntry:
        if len(set(self.listeners.values())) < len(self.listeners):
            raise ValueError("each listener of a balancer has a port of its own")
        return self


class HealthEntry(_Strict):
    """`health:`; where each machine of the group says that it is well."""

    port: Port = 80
    path: Annotated[str, Field(pattern="^/")] = "/-/health"


class GroupEntry(_Strict):
    """One group of machines."""

    image: Name
    size: Annotated[int, Field(ge=1, le=100)]
    machine: MachineEntry
    health: HealthEntry = HealthEntry()
    public: bool = False
    balancer: BalancerEntry | None = None
    settings: dict[str, Any] = {}


class NetworkEntry(_Strict):
    """`network:`; each zone's subnet is a part of this range."""

    cidr: Annotated[IPv4Network, BeforeValidator(_network)]


class EnvironmentFile(_Strict):
    """The whole file."""

    cloud: CloudKind = CloudKind.LOCAL
    zones: Annotated[list[Zone], Field(min_length=1), AfterValidator(_differ)]
    network: NetworkEntry
    domain: Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z]{2,}$")] | None = None
    groups: dict[Name, GroupEntry] = Field(min_length=1)
