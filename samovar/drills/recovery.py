"""Watching an environment that was broken: when it is seen that something is missing, and when it is whole again."""

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
from samovar.deploy.read_status import inspect
from samovar.drills.faults import Break
from samovar.project.environment import Environment

HOLD = 2.0


@dataclass(frozen=True)
class Look:
    """How it is: `whole` in the eyes of the cloud and with every process there, which are known by machine and pid."""

    whole: bool
    processes: frozenset[tuple[str, int]]
    summary: str


@dataclass(frozen=True)
class Recovery:
    """Seconds from the break until the loss was seen, and until all was well."""

    noticed: float
    whole: float


def recovery(look: Callable[[], Look], before: Look, began: float, timeout: float, reporter: Reporter) -> Recovery:
    """Looks again and again, at most `timeout` seconds for each of the two. Raises WaitTimeout."""

    def gone() -> bool | Pending:
        now = look()
        return True if not now.whole or before.processes - now.processes else Pending(now.summary)

    wait_for("the loss is noticed", gone, timeout=timeout, interval=0.1, ceiling=0.25)
    noticed = time.monotonic() - began
    with reporter.step("it gets whole"):
        steady = _Steady(before)
        since = wait_for(
            "it is whole again", lambda: steady.see(look(), time.monotonic()), timeout=timeout, ceiling=0.25
        )
    return Recovery(noticed, since - began)


class _Steady:
    """What is whole has to stay so for HOLD seconds, with the same processes: one that starts may end at once."""

    def __init__(self, before: Look) -> None:
        self._before = before.processes
        self._last: frozenset[tuple[str, int]] = frozenset()
        self._since: float | None = None

    def see(self, now: Look, moment: float) -> float | Pending:
        """The moment since which it is whole, once that is long enough."""
        renewed = not self._before or self._before - now.processes
        if not now.whole or not renewed:
            self._since = None
        elif self._since is None or now.processes != self._last:
            self._since, self._last = moment, now.processes
        if self._since is None or moment - self._since < HOLD:
            return Pending(now.summary)
        return self._since


def look(session: Session, environment: Environment, broken: Break) -> Look:
    """The environment as it is now."""
    status = inspect(session, environment)
    processes = _processes(session.host, broken) if broken.unit and session.host else None
    missing = [] if processes is None else sorted(set(broken.machines) - {machine for machine, _ in processes})
    summary = [group.summary() for group in status.groups] + [f"{broken.unit} of {name} is down" for name in missing]
    return Look(status.healthy and not missing, processes or frozenset(), "; ".join(summary))


def _processes(host: Host, broken: Break) -> frozenset[tuple[str, int]]:
    ids = {machine.name: machine.id for machine in host.machines() if machine.name in broken.machines}

    def pids(machine: str) -> set[tuple[str, int]]:
        return {(machine, pid) for pid in host.processes(ids[machine], broken.unit)}

    return frozenset().union(*run_concurrently(*(partial(pids, machine) for machine in ids)))
