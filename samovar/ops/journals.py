"""The journals of all machines, as the machine that collects them shows them (systemd-journal-gatewayd)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, Field

from samovar.cloud.session import Session
from samovar.core.errors import ConfigError
from samovar.deploy.group_metadata import most_machines
from samovar.ops.machine_http import MachineHttp
from samovar.ops.metrics import collector
from samovar.project.environment import Environment

GATEWAY_PORT = 19531


@dataclass(frozen=True)
class Entry:
    """An entry of a journal: when it was written, by which unit of which machine."""

    time: datetime
    machine: str
    unit: str
    message: str

    def __str__(self) -> str:
        return f"{self.time:%Y-%m-%dT%H:%M:%S.%f}Z {self.machine} {self.unit}: {self.message}"


@dataclass(frozen=True)
class Selection:
    """The entries that are asked for: of machines by host name (all without one) and of a unit, since so many seconds.

    With `follow` those that come are shown as well.
    """

    machines: tuple[str, ...] = ()
    unit: str | None = None
    seconds: float = 3600.0
    follow: bool = False


class _Fields(BaseModel, frozen=True):
    """The fields of an entry that are of use (systemd.journal-fields(7))."""

    realtime: int = Field(alias="__REALTIME_TIMESTAMP")
    machine: str = Field(default="", alias="_HOSTNAME")
    unit: str = Field(default="", alias="_SYSTEMD_UNIT")
    identifier: str = Field(default="kernel", alias="SYSLOG_IDENTIFIER")
    message: str | list[int] | None = Field(default=None, alias="MESSAGE")

    def entry(self) -> Entry:
        """Return the entry. A message that is no text comes as a list of bytes, one that is too long as null."""
        text = bytes(self.message).decode(errors="replace") if isinstance(self.message, list) else self.message or ""
        return Entry(datetime.fromtimestamp(self.realtime / 1e6, UTC), self.machine, self.unit or self.identifier, text)


def journal(session: Session, environment: Environment, identity: Path | None = None) -> MachineHttp:
    """Return the way to the journals. Raises ConfigError where nothing collects them."""
    return MachineHttp(session, environment, collector(environment), GATEWAY_PORT, identity, service="journals")


def machines_named(environment: Environment, name: str | None) -> tuple[str, ...]:
    """Return the host names that the name of a group or a machine stands for. Raises ConfigError for another name."""
    if name is None:
        return ()
    short = name.removeprefix(f"{environment.name}-")
    for group in environment.groups:
        names = tuple(f"{group.name}-{index}" for index in range(1, most_machines(group) + 1))
        if short == group.name:
            return names
        if short in names:
            return (short,)
    groups = ", ".join(group.name for group in environment.groups)
    raise ConfigError(f"{environment.name} has neither a group nor a machine {name}", remedy=f"groups: {groups}")


def entries(server: MachineHttp, selection: Selection) -> Iterator[Entry]:
    """Yield the entries in the order of their times. Raises CloudError."""
    since = int(time.time() - selection.seconds)
    asking = replace(server, headers={"Accept": "application/json", "Range": f"realtime={since}:"})
    return read_entries(asking.lines("/entries", _query(selection)))


def read_entries(lines: Iterable[str]) -> Iterator[Entry]:
    """Yield the entry of each line of JSON."""
    return (_Fields.model_validate_json(line).entry() for line in lines if line.strip())


def _query(selection: Selection) -> list[tuple[str, str]]:
    """Fields of one name are alternatives."""
    query = [("_HOSTNAME", machine) for machine in selection.machines]
    if selection.unit:
        query.append(("_SYSTEMD_UNIT", selection.unit if "." in selection.unit else f"{selection.unit}.service"))
    return [*query, ("follow", "")] if selection.follow else query
