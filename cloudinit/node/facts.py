"""What the metadata service says of this machine, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Machine:
    """The machine as templates see it; `hostname` is fully qualified, `address` the first internal one."""

    id: str
    name: str
    hostname: str
    address: str
    zone: str


@dataclass(frozen=True)
class Facts:
    """All that decides how this machine is configured. No `role`: a bare machine. `settings` is YAML."""

    machine: Machine
    role: str | None
    settings: str


def read_facts(instance: Mapping[str, Any]) -> Facts:
    """From the recursive answer for `instance/` in Google's form, whose keys are in camel case."""
    attributes = instance.get("attributes") or {}
    interfaces = instance.get("networkInterfaces") or [{}]
    machine = Machine(
        id=str(instance.get("id", "")),
        name=str(instance.get("name", "")),
        hostname=str(instance.get("hostname", "")),
        address=str(interfaces[0].get("ip", "")),
        zone=str(instance.get("zone", "")).rpartition("/")[2],
    )
    return Facts(machine, attributes.get("samovar-role") or None, str(attributes.get("samovar-settings", "")))
