"""Watches an environment with a fault: when the loss is detected, and when the environment has recovered."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from samovar.cloud.local_admin import Host
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.core.output import Reporter
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.read_status import read_status
from samovar.drills.faults import Fault
from samovar.project.environment import Environment

STABLE_SECONDS = 2.0
"""Seconds for which an environment must be healthy, with the same processes: a process that starts may end at once."""


@dataclass(frozen=True)
class Snapshot:
    """The environment at one moment: `healthy` for the cloud and with every process, each a machine and a pid."""

    healthy: bool
    processes: frozenset[tuple[str, int]]
    summary: str


@dataclass(frozen=True)
class Recovery:
    """The seconds from the fault until it was detected, and until the environment had recovered."""

    time_to_detect: float
    time_to_recover: float


def measure_recovery(
    snapshot: Callable[[], Snapshot], before: Snapshot, began: float, timeout: float, reporter: Reporter
) -> Recovery:
    """Take snapshots until the loss is detected, then until the environment has recovered.

    Raises WaitTimeout if either takes longer than `timeout` seconds. `began` is the monotonic time of the fault.
    """

    def detected() -> bool | Pending:
        now = snapshot()
        return True if not now.healthy or before.processes - now.processes else Pending(now.summary)

    wait_for("the loss is detected", detected, timeout=timeout, interval=0.1, ceiling=0.25)
    time_to_detect = time.monotonic() - began
    with reporter.step("recovery"):
        stability = Stability(before)
        since = wait_for(
            "the environment has recovered",
            lambda: stability.check(snapshot(), time.monotonic()),
            timeout=timeout,
            ceiling=0.25,
        )
    return Recovery(time_to_detect, since - began)


class Stability:
    """Decides when an environment has been healthy, with new processes that stay the same, for STABLE_SECONDS."""

    def __init__(self, before: Snapshot) -> None:
        self._before = before.processes
        self._last: frozenset[tuple[str, int]] = frozenset()
        self._since: float | None = None

    def check(self, now: Snapshot, moment: float) -> float | Pending:
        """Return the moment since which it is healthy, once that is long enough."""
        replaced = not self._before or self._before - now.processes
        if not now.healthy or not replaced:
            self._since = None
        elif self._since is None or now.processes != self._last:
            self._since, self._last = moment, now.processes
        if self._since is None or moment - self._since < STABLE_SECONDS:
            return Pending(now.summary)
        return self._since


def take_snapshot(session: Session, environment: Environment, fault: Fault) -> Snapshot:
    """Read the state of the environment and the processes of the fault's unit."""
    status = read_status(session, environment)
    processes = _processes(session.host, fault) if fault.unit and session.host else None
    missing = [] if processes is None else sorted(set(fault.machines) - {machine for machine, _ in processes})
    summary = [group.summary() for group in status.groups] + [f"{fault.unit} of {name} is down" for name in missing]
    return Snapshot(status.healthy and not missing, processes or frozenset(), "; ".join(summary))


def _processes(host: Host, fault: Fault) -> frozenset[tuple[str, int]]:
    ids = {machine.name: machine.id for machine in host.machines() if machine.name in fault.machines}

    def pids(machine: str) -> set[tuple[str, int]]:
        return {(machine, pid) for pid in host.processes(ids[machine], fault.unit)}

    return frozenset().union(*run_concurrently(*(partial(pids, machine) for machine in ids)))
