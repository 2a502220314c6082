"""An environment as the rest of the tool sees it: frozen values, sizes in bytes, nothing optional left unsaid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Any

from kit.errors import ConfigError


class CloudKind(StrEnum):
    """Which cloud an environment lives in; only `cloud/` tells them apart."""

    LOCAL = "local"
    YANDEX = "yandex"


class BalancerType(StrEnum):
    """Whether a balancer answers at a public address or at one of the network's own."""

    EXTERNAL = "external"
    INTERNAL = "internal"


@dataclass(frozen=True)
class Machine:
    """The size of each machine of a group; `memory` and `disk` in bytes, `core_fraction` in per cent."""

    cores: int
    core_fraction: int
    memory: int
    disk: int


@dataclass(frozen=True)
class Health:
    """Where a machine says that it is well: HTTP 200 on `path`."""

    port: int
    path: str


@dataclass(frozen=True)
class Balancer:
    """The balancer before a group: its listeners' ports by the scheme that they speak."""

    type: BalancerType
    listeners: Mapping[str, int]


@dataclass(frozen=True)
class Group:
    """A group of equal machines. `settings` is what its role is told, as YAML has it."""

    name: str
    image: str
    size: int
    machine: Machine
    health: Health
    public: bool = False
    balancer: Balancer | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Environment:
    """One environment, whole."""

    name: str
    cloud: CloudKind
    zones: tuple[str, ...]
    cidr: IPv4Network
    domain: str | None
    groups: tuple[Group, ...]

    def group(self, name: str) -> Group:
        """The group of that name; ConfigError lists those that exist."""
        for group in self.groups:
            if group.name == name:
                return group
        known = ", ".join(group.name for group in self.groups) or "none"
        raise ConfigError(f"{self.name} has no group {name}", remedy=f"groups of {self.name}: {known}")
