"""Watches an environment with a fault: when the loss is noticed, what heals it, and when the environment is whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from samovar.cloud.local_admin import Host
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.core.errors import CloudError
from samovar.core.waiting import Pending
from samovar.deploy.read_status import read_status
from samovar.deploy.status import HEALTHY
from samovar.drills.faults import Fault
from samovar.project.environment import Environment

STABLE_SECONDS = 2.0
"""Seconds for which an environment must be healthy, with the same processes: a process that starts may end at once."""
STARTING = "STARTING_INSTANCE"
"""The status of a machine that its group starts again, by the group service's words."""
PERIOD = 0.1
"""Seconds between two looks at the environment."""
GROUP, BALANCER, SYSTEMD, WATCHDOG, DRILL = "group", "balancer", "systemd", "watchdog", "drill"
"""What heals: the drill itself, where it put back what it broke."""


@dataclass(frozen=True)
class Snapshot:
    """The environment at one moment: `healthy` for the cloud and with every process, each a machine and a pid.

    `targets` are the ids of the machines that may be hit, `instances` those of all: a new machine may have another name
    than the one that it replaces. `drained` is true if a balancer sends nothing to a target, and `restarted` if its
    group starts one again.
    """

    healthy: bool
    processes: frozenset[tuple[str, int]] = frozenset()
    targets: frozenset[str] = frozenset()
    instances: frozenset[str] = frozenset()
    drained: bool = False
    restarted: bool = False


@dataclass(frozen=True)
class Recovery:
    """The seconds from the fault until it was noticed, put back and healed: None for what did not happen."""

    time_to_detect: float | None
    time_to_recover: float | None
    time_to_put_back: float | None = None
    healed_by: tuple[str, ...] = ()


@dataclass
class Watch:
    """Judges snapshots as they come, by their moments in seconds since the fault. Pure.

    A fault that is `put_back` need not be noticed by the cloud; any other must be before the environment can be whole.
    """

    before: Snapshot
    put_back: bool = False
    restored_at: float | None = None
    noticed_at: float | None = None
    recovered_at: float | None = None
    healers: set[str] = field(default_factory=set)
    _last: Snapshot | None = None
    _first_lost: str = ""

    def see(self, now: Snapshot, moment: float) -> None:
        """Take in one snapshot."""
        lost = self.before.processes - now.processes
        if (lost or not now.healthy) and self.noticed_at is None:
            self.noticed_at, self._first_lost = moment, "process" if lost else "health"
        self._find_healers(now, processes_lost=bool(lost))
        if not now.healthy or not self._may_be_recovered(processes_lost=bool(lost)):
            self.recovered_at = None
        elif self.recovered_at is None or self._last is None or now.processes != self._last.processes:
            self.recovered_at = moment
        self._last = now

    def stable(self, moment: float) -> bool:
        """Return whether the environment has been whole for long enough."""
        return self.recovered_at is not None and moment - self.recovered_at >= STABLE_SECONDS

    def recovery(self) -> Recovery:
        """Return what was seen."""
        order = (BALANCER, SYSTEMD, WATCHDOG, GROUP, DRILL)
        healers = tuple(healer for healer in order if healer in self.healers)
        return Recovery(self.noticed_at, self.recovered_at, self.restored_at, healers)

    def _may_be_recovered(self, *, processes_lost: bool) -> bool:
        if self.put_back:
            return self.restored_at is not None or processes_lost or GROUP in self.healers
        return processes_lost if self.before.processes else self.noticed_at is not None

    def _find_healers(self, now: Snapshot, *, processes_lost: bool) -> None:
        if now.drained:
            self.healers.add(BALANCER)
        if now.restarted or (now.instances and self.before.targets - now.instances):
            self.healers.add(GROUP)
            self.healers.discard(WATCHDOG)  # what it started before did not help
        elif processes_lost and now.processes - self.before.processes and GROUP not in self.healers:
            self.healers.add(SYSTEMD if self._first_lost == "process" else WATCHDOG)


def watch_recovery(
    snapshot: Callable[[], Snapshot],
    watch: Watch,
    began: float,
    timeout: float,
    *,
    hold: float | None,
    broken_at: Callable[[], float | None],
    restore: Callable[[], None],
    stopped: Callable[[], bool],
) -> Recovery:
    """Take snapshots until the environment has recovered, or `timeout` seconds are over; return what was seen.

    It ends early when `stopped` returns true. What is broken is put back, unless it healed before, `hold` seconds after
    the moment `broken_at`, when the last of it broke. `began` is the monotonic time of the fault.
    """
    while not stopped() and (moment := time.monotonic() - began) < timeout:
        broken = broken_at()
        if hold is not None and broken is not None and watch.restored_at is None and moment >= broken + hold:
            restore()
            watch.restored_at = time.monotonic() - began
            watch.healers.add(DRILL)
        watch.see(snapshot(), time.monotonic() - began)
        if broken is not None and watch.stable(time.monotonic() - began):
            break
        time.sleep(PERIOD)
    return watch.recovery()


def steady(session: Session, environment: Environment) -> bool | Pending:
    """Return True if the environment is healthy, else what is not."""
    status = read_status(session, environment)
    return status.healthy or Pending(status.summary())


def take_snapshot(session: Session, environment: Environment, fault: Fault) -> Snapshot:
    """Read the state of the environment and the processes of the fault's unit."""
    try:
        return _snapshot(session, environment, fault)
    except CloudError:
        return Snapshot(healthy=False)


def _snapshot(session: Session, environment: Environment, fault: Fault) -> Snapshot:
    status = read_status(session, environment)
    running = _processes(session.host, fault.units) if session.host else {}
    hit = [machine for machine in status.machines if machine.name in fault.machines]
    return Snapshot(
        healthy=status.healthy and all(running.values()),
        processes=frozenset((machine, pid) for (machine, _), pids in running.items() for pid in pids),
        targets=frozenset(machine.id for machine in hit),
        instances=frozenset(machine.id for machine in status.machines),
        drained=any(machine.balancer not in {None, HEALTHY} for machine in hit),
        restarted=any(machine.status == STARTING for machine in hit),
    )


def _processes(host: Host, units: frozenset[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, ...]]:
    """Return the pids of each unit of a machine that is there; none where the machine does not run."""
    if not units:
        return {}
    ids = {machine.name: machine.id for machine in host.machines()}
    there = [each for each in sorted(units) if each[0] in ids]
    pids = run_concurrently(*(partial(host.processes, ids[machine], unit) for machine, unit in there))
    return dict(zip(there, pids, strict=True))
