"""Waits until every machine of an environment is healthy for its group and for its balancer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.session import Session
from samovar.core.errors import command_line
from samovar.core.output import Reporter
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.read_status import read_status
from samovar.deploy.resources.resource import Ref
from samovar.deploy.seeding import record_rows
from samovar.deploy.status import LEAVING, OUTDATED, GroupStatus, MachineStatus, Status, without_figures
from samovar.project.environment import Environment
from samovar.watchdog.config import NOT_ANSWERED, NOT_UP

MIN_PAUSE, MAX_PAUSE = 0.2, 5.0
"""Seconds between two looks: each takes some 20 calls for three groups, which on a large cloud are counted."""
SHARE = 0.2
"""The share of the usual time between two changes after which the next look comes."""
Fact = tuple[str, ...]
LASTING = 30.0
"""Seconds after which what all machines of a group say is most likely no matter of time."""
MESSAGE = re.compile(rf"(?P<application>\S+) (?:{NOT_ANSWERED}|{NOT_UP}) for \d+ s: (?P<cause>.+)")
"""What the watchdog of a machine says of an application that is not well."""
FORMER = LEAVING | {OUTDATED}
"""The states of machines that an update replaces."""


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


class Problem(NamedTuple):
    """A problem of a machine. One with the same `key` is the same problem; `text` is for people."""

    key: str = ""
    text: str = ""
    machine: str = ""


class CommonProblems:
    """The problems that all new machines of a group have alike, which another machine would not mend.

    No wait ends by them: the application may need long to start, or something that is yet to come.
    """

    def __init__(self, environment: str, now: Callable[[], float] = time.monotonic) -> None:
        self._environment = environment
        self._now = now
        self._since: dict[str, tuple[str, float]] = {}
        self._reported: dict[str, str] = {}

    def see(self, groups: Iterable[GroupStatus]) -> Iterator[str]:
        """Yield a message for each problem that has lasted, once."""
        for group in groups:
            problem = common_problem(group)
            if self._lasts(group.name, problem.key) and self._reported.get(group.name) != problem.key:
                self._reported[group.name] = problem.key
                yield self._message(group, problem)

    def _lasts(self, group: str, problem: str) -> bool:
        before, since = self._since.get(group, ("", 0.0))
        if problem != before:
            since = self._now()
        self._since[group] = problem, since
        return bool(problem) and self._now() - since >= LASTING

    def _message(self, group: GroupStatus, problem: Problem) -> str:
        logs = command_line(f"logs {self._environment} {problem.machine}")
        remedy = "unless it waits for what is yet to come, press Ctrl-C, correct it, and run the command again"
        return (
            f"  {group.name}: all new machines say the same for {LASTING:g} s: {problem.text}\n"
            f"  remedy: see `{logs}`; {remedy}"
        )


def common_problem(group: GroupStatus) -> Problem:
    """Return what all new machines of a group say; an empty problem where one says otherwise, or nothing."""
    new = [machine for machine in group.machines if machine.image == group.image and machine.status not in FORMER]
    problems = [_problem(machine) for machine in new]
    return problems[0] if len({problem.key for problem in problems}) == 1 else Problem()


def _problem(machine: MachineStatus) -> Problem:
    """Return what a machine says. The watchdog's figures grow with time; those of any other message are progress."""
    message = machine.message or ""
    if match := MESSAGE.fullmatch(message):
        text = f"{match['application']}: {match['cause']}"
        return Problem(without_figures(text), text, machine.name)
    return Problem(message, message, machine.name)


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
    watch = _Watch(session, environment, dict(running), reporter)
    return wait_for(
        f"{environment.name} to get healthy",
        watch.look,
        timeout=timeout,
        remedy=f"see `{command_line(f'status {environment.name}')}`; remove the cause and run the rollout again",
    )


class _Watch:
    """Looks at an environment until it is healthy, and reports what is new."""

    def __init__(
        self, session: Session, environment: Environment, operations: dict[Ref, Operation], reporter: Reporter
    ) -> None:
        self._session = session
        self._environment = environment
        self._open, self._done = operations, set[Ref]()
        self._reporter = reporter
        self._reported = ""
        self._healthy: frozenset[str] = frozenset()
        self._changes, self._problems = Changes(), CommonProblems(environment.name)

    def look(self) -> Status | Pending:
        """Return the status once it is healthy and no operation is open."""
        self._close_finished()
        status = read_status(self._session, self._environment)
        healthy = frozenset(status.healthy_groups)
        if healthy - self._healthy:
            record_rows(self._session, status)
        self._healthy = healthy
        if status.healthy and not self._open:
            return status
        return self._pending(status)

    def _pending(self, status: Status) -> Pending:
        state = status.summary() or f"{', '.join(map(str, self._open))}: the operation still runs"
        if state != self._reported:
            self._reporter.info(f"  {state}")
            self._reported = state
        for text in self._problems.see(status.groups):
            self._reporter.info(text)
        self._changes.see([*_facts(status), *(("done", str(ref)) for ref in self._done)])
        return Pending(state, after=self._changes.pause(), progress=self._changes.count)

    def _close_finished(self) -> None:
        for ref, operation in list(self._open.items()):
            if self._session.poll(operation.id).operation.done:
                self._session.finish(operation, what=str(ref))
                del self._open[ref]
                self._done.add(ref)


def _facts(status: Status) -> Iterator[Fact]:
    for group in status.groups:
        for machine in group.machines:
            yield group.name, machine.name, machine.status, machine.balancer or "", machine.image
