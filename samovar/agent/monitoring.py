"""The monitoring of a machine: who collects its metrics and its journal, and of whom the collector itself asks.

The exporters of an image start where the file of environment variables that is made here exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .role import GroupNames, InvalidConfig, Value, group_names, mapping_of, reserved

ENVIRONMENT_FILE = "/etc/samovar/monitoring.env"
WHERE = "samovar-settings: monitoring"


@dataclass(frozen=True)
class Target:
    """A group whose machines show metrics, at the ports of its exporters by their names. It has `size` at the least."""

    group: GroupNames
    size: int
    exporters: Mapping[str, int]


@dataclass(frozen=True)
class MonitoringSettings:
    """The monitoring as the metadata state it. `collector` is the group that monitors; empty where there is none.

    Only the collector itself has `targets`, and the `objectives` that it watches: method, route and bounds of each.
    """

    collector: str = ""
    targets: tuple[Target, ...] = ()
    objectives: tuple[Mapping[str, Value], ...] = field(default=())


def read_monitoring(text: str) -> MonitoringSettings:
    """Read what samovar-settings say of monitoring. Raises InvalidConfig."""
    given = reserved(text, "monitoring")
    collector = given.get("collector", "")
    if not isinstance(collector, str):
        raise InvalidConfig(f"{WHERE}: collector: {collector!r} is no group")
    return MonitoringSettings(
        collector,
        tuple(_target(mapping_of(each)) for each in _list(given.get("targets"))),
        tuple(mapping_of(each) for each in _list(given.get("objectives"))),
    )


def environment(collector: str, address: str, hostname: str) -> Mapping[str, str]:
    """Return the variables of exporters: the address to listen at, and the machine that takes journals."""
    domain = hostname.partition(".")[2]
    return {"ADDRESS": address, "COLLECTOR": f"{collector}-1.{domain}" if domain else f"{collector}-1"}


def _target(fields: Mapping[str, Value]) -> Target:
    exporters = mapping_of(fields.get("exporters"))
    ports = {name: port for name, port in exporters.items() if isinstance(port, int)}
    if ports.keys() != exporters.keys():
        raise InvalidConfig(f"{WHERE}: targets: {exporters!r}: must be ports by name")
    size = fields.get("size", 0)
    if not isinstance(size, int):
        raise InvalidConfig(f"{WHERE}: targets: size: {size!r}: must be a number")
    return Target(group_names(fields, f"{WHERE}: targets"), size, ports)


def _list(value: Value) -> Sequence[Value]:
    return value if isinstance(value, list) else ()
