"""What decides how this machine is configured, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Secret = str | Mapping[str, str]
"""The text of a secret's one entry, or of each entry by its key."""


@dataclass(frozen=True)
class Machine:
    """The machine as templates see it; `hostname` is fully qualified, `address` the first internal one.

    `public` is the public address that is this machine's own, empty where it has none.
    """

    id: str
    name: str
    hostname: str
    address: str
    zone: str
    public: str = ""


@dataclass(frozen=True)
class Peer:
    """A machine of a group as templates see it; `name` is its host name without the domain."""

    name: str
    address: str


@dataclass(frozen=True)
class Facts:
    """No `role`: a bare machine. `settings` and `api` are YAML.

    `peers` has every group that the role asks for, `secrets` those of its secrets that the environment has.
    """

    machine: Machine
    role: str | None
    settings: str
    api: str = ""
    peers: Mapping[str, tuple[Peer, ...]] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict, repr=False)


def read_facts(instance: Mapping[str, Any]) -> Facts:
    """From the recursive answer for `instance/` in Google's form, whose keys are in camel case."""
    attributes = instance.get("attributes") or {}
    interface = (instance.get("networkInterfaces") or [{}])[0]
    access = (interface.get("accessConfigs") or [{}])[0]
    machine = Machine(
        id=str(instance.get("id", "")),
        name=str(instance.get("name", "")),
        hostname=str(instance.get("hostname", "")),
        address=str(interface.get("ip", "")),
        zone=str(instance.get("zone", "")).rpartition("/")[2],
        public=str(access.get("externalIp", "")),
    )
    return Facts(
        machine=machine,
        role=attributes.get("samovar-role") or None,
        settings=str(attributes.get("samovar-settings", "")),
        api=str(attributes.get("samovar-api", "")),
    )
