"""The configuration of the watchdog: what the role renders, and what the image says about the application."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .policy import Limits, Range

ALIAS = Path("/etc/systemd/system/application.service")
"""The link to the application's unit; systemd knows the unit by this name too."""
NOT_ANSWERED, NOT_UP, NOT_SUCCEEDED = "has not answered", "has not stayed up", "has not succeeded"
"""How an application that is not well shows: one with a port, one without, one that runs by a schedule."""
GROUP, BALANCER = "for the group this machine is", "for the balancer this machine is"
ALIVE, READY = "alive", "ready"
"""How the watchdog says that all is well."""


@dataclass(frozen=True)
class Config:
    """The configuration names the unit that is watched, its port, and its logs.

    `health` is the path of a page at the port, "" where a connection is enough. What has port 0 takes no requests, and
    what is `scheduled` runs by a timer. `stable` are the seconds after which the first run of what has no port is well.
    `log_files` are patterns of files. `stop` are the seconds that the application has to stop by itself: none of what
    is scheduled, which would start again out of time, while a run that is killed has failed.
    """

    unit: str
    port: int
    health: str
    scheduled: bool
    stable: float
    log_files: tuple[str, ...]
    stop: float
    limits: Limits

    @property
    def name(self) -> str:
        """Return the name of the application, for messages."""
        return self.unit.removesuffix(".service")


def read_config(text: str, unit: str, memory: int) -> Config:
    """Read the file, whose keys are settings of the role. `memory` is the machine's, in bytes; it may take a share."""
    given = json.loads(text)
    port, scheduled = given["port"], given["scheduled"]
    name = unit.removesuffix(".service")
    limits = Limits(
        symptom=f"{name} {_symptom(port, scheduled=scheduled)}",
        memory=int(memory * given["memory"]),
        errors=_range(given["errors"]),
        lifetime=_range(given["lifetime"]) if given["lifetime"] else None,
        dead_after=given["gone"],
        never_well=given["never"],
        **{key: given[key] for key in ("hold", "silent", "start", "failures")},
    )
    stop = 0 if scheduled else given["stop"]
    return Config(unit, port, given["health"], scheduled, given["stable"], tuple(given["log_files"]), stop, limits)


def _symptom(port: int, *, scheduled: bool) -> str:
    if port:
        return NOT_ANSWERED
    return NOT_SUCCEEDED if scheduled else NOT_UP


def _range(numbers: list[float]) -> Range:
    return numbers[0], numbers[-1]
