"""An environment as the rest of the tool sees it: frozen values, sizes in bytes, nothing optional left unsaid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from samovar.core.errors import ConfigError
from samovar.core.paths import PACKAGE
from samovar.project.project import Project

LIBRARY_USER_DATA = PACKAGE / "library" / "cloudinit" / "user-data.yaml.j2"
"""The template of user-data of a project that has none."""


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
    """The balancer before a group: its listeners' ports by the scheme that they speak.

    `health` is where a machine says that it may be sent to, which need not be where it says that it lives.
    """

    type: BalancerType
    listeners: Mapping[str, int]
    health: Health


class SecretKind(StrEnum):
    """What a secret is: a password that Lockbox makes up, or a certificate with its key that signs itself."""

    PASSWORD = "password"  # noqa: S105 - a kind, not a password  # pragma: allowlist secret
    CERTIFICATE = "certificate"


@dataclass(frozen=True)
class DataDisk:
    """The disk that outlives the machines of a group; `size` in bytes."""

    size: int
    type: str


@dataclass(frozen=True)
class Group:
    """A group of equal machines. `settings` is what its role is told, as YAML has it.

    `upstream` is the group that its machines ask; `ports` are what those who ask this one may reach on its machines
    beside the targets of its balancer; `secrets` names those that its machines may read.
    """

    name: str
    image: str
    size: int
    machine: Machine
    health: Health
    public: bool = False
    balancer: Balancer | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    upstream: str | None = None
    ports: tuple[int, ...] = ()
    secrets: tuple[str, ...] = ()
    data_disk: DataDisk | None = None


@dataclass(frozen=True)
class Operator:
    """Who may log in to machines, by public keys of SSH; the way leads through a machine of the group `bastion`."""

    ssh_keys: tuple[str, ...]
    bastion: str


@dataclass(frozen=True)
class Environment:
    """One environment, whole. Without an `operator` nobody logs in, and no machine listens to one who tries.

    `bake_from` is the range of addresses from which its images are baked on machines of the cloud; None is not said.
    `folder_id` and `cloud_id` are those to which the credentials have to lead, where the file says so.
    """

    name: str
    cloud: CloudKind
    zones: tuple[str, ...]
    cidr: IPv4Network
    domain: str | None
    groups: tuple[Group, ...]
    secrets: Mapping[str, SecretKind] = field(default_factory=dict)
    operator: Operator | None = None
    bake_from: str | None = None
    deletion_protection: bool = False
    folder_id: str | None = None
    cloud_id: str | None = None
    project: Project = field(kw_only=True)

    @property
    def user_data(self) -> Path:
        """Return the template of its machines' user-data: the project's, else the library's."""
        own = self.project.user_data
        return own if own.is_file() else LIBRARY_USER_DATA

    def group(self, name: str) -> Group:
        """The group of that name; ConfigError lists those that exist."""
        for group in self.groups:
            if group.name == name:
                return group
        known = ", ".join(group.name for group in self.groups) or "none"
        raise ConfigError(f"{self.name} has no group {name}", remedy=f"groups of {self.name}: {known}")
