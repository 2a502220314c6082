"""Waits until every machine of an environment is healthy for its group and for its balancer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.session import Session
from samovar.core.errors import command_line
from samovar.core.output import Reporter
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.read_status import read_status
from samovar.deploy.resources.resource import Ref
from samovar.deploy.resources.seed_record import record_healthy
from samovar.deploy.status import Status
from samovar.project.environment import Environment

MIN_PAUSE, MAX_PAUSE = 0.2, 5.0
"""Seconds between two looks: each takes some 20 calls for three groups, which on a large cloud are counted."""
SHARE = 0.2
"""The share of the usual time between two changes after which the next look comes."""
Fact = tuple[str, ...]


class Changes:
    """The facts that there were so far, and how soon to look again: often where changes come fast, rarely elsewhere.

    A fact that comes again is no change: a machine that is made anew over and over brings nothing new.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._facts: frozenset[Fact] = frozenset()
        self._last = now()
        self._usual = 0.0

    @property
    def count(self) -> int:
        """Return how many facts there were so far."""
        return len(self._facts)

    def see(self, facts: Iterable[Fact]) -> None:
        """Take what is the case now."""
        all_facts = self._facts.union(facts)
        if len(all_facts) > len(self._facts):
            self._usual = (self._usual + self._now() - self._last) / 2
            self._facts, self._last = all_facts, self._now()

    def pause(self) -> float:
        """Return the seconds until the next look."""
        expected = max(self._usual, self._now() - self._last)
        return min(max(expected * SHARE, MIN_PAUSE), MAX_PAUSE)


def wait_until_healthy(
    session: Session,
    environment: Environment,
    running: Mapping[Ref, Operation],
    reporter: Reporter,
    *,
    timeout: float,
) -> Status:
    """Wait until the environment is healthy and the groups' operations are done; each new state is reported.

    `timeout` are seconds since the last change. Raises WaitTimeout with the last state, or OperationFailed where the
    cloud ended an operation with an error.
    """
    open_operations = dict(running)
    reported = ""
    healthy: frozenset[str] = frozenset()
    changes = Changes()

    def probe() -> Status | Pending:
        nonlocal reported, healthy
        _close_finished(session, open_operations)
        status = read_status(session, environment)
        if status.healthy_groups - healthy:
            record_healthy(session, status.environment, status.healthy_groups)
        healthy = status.healthy_groups
        if status.healthy and not open_operations:
            return status
        state = "; ".join(group.summary() for group in status.groups if not group.healthy)
        state = state or f"{', '.join(map(str, open_operations))}: the operation still runs"
        if state != reported:
            reporter.info(f"  {state}")
            reported = state
        changes.see([*_facts(status), *(("done", str(ref)) for ref in running.keys() - open_operations.keys())])
        return Pending(state, after=changes.pause(), progress=changes.count)

    return wait_for(
        f"{environment.name} is healthy",
        probe,
        timeout=timeout,
        remedy=f"see `{command_line(f'status {environment.name}')}`; remove the cause and run the rollout again",
    )


def _facts(status: Status) -> Iterator[Fact]:
    for group in status.groups:
        for machine in group.machines:
            yield group.name, machine.name, machine.status, machine.balancer or "", machine.image


def _close_finished(session: Session, operations: dict[Ref, Operation]) -> None:
    for ref, operation in list(operations.items()):
        if session.poll(operation.id).operation.done:
            session.finish(operation, what=str(ref))
            del operations[ref]
