"""A drill: an environment is broken under load, and the time is taken until it is whole again."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import TypedDict

from samovar.cloud.session import Session
from samovar.core.errors import CloudError, WaitTimeout
from samovar.core.output import Reporter
from samovar.core.program import command_line
from samovar.core.waiting import Pending, wait_for_async
from samovar.deploy.read_status import inspect
from samovar.drills.faults import Break
from samovar.drills.recovery import Look, Recovery, look, recovery
from samovar.load.generator import Load, Run
from samovar.load.progress import send_and_tell
from samovar.load.results import Outcome, longest_gap
from samovar.load.service_health import answers_well, trouble
from samovar.project.environment import Environment

AROUND = 2.0
"""Seconds of load before the break, and after all is well again."""
LONGEST = 900.0
"""Seconds of load at most."""


@dataclass(frozen=True)
class Failures:
    """Of the requests that failed: before the break, in flight at it, sent until the cloud noticed it, sent later."""

    before: int
    in_flight: int
    unnoticed: int
    later: int
    by_kind: dict[str, int]


@dataclass(frozen=True)
class DrillReport:
    """What the drill found; `broke` is when, in seconds of the load, `well` whether it answered well at the end."""

    environment: str
    what: str
    load: Load
    broke: float
    recovery: Recovery
    outcomes: tuple[Outcome, ...]
    well: bool = True

    @property
    def failures(self) -> Failures:
        return failures(self.outcomes, self.broke, self.recovery.noticed)

    @property
    def prompt(self) -> list[Outcome]:
        """Of the endpoints that answer at once: a list may take its time."""
        names = _prompt(self.load)
        return [outcome for outcome in self.outcomes if outcome.endpoint in names]

    @property
    def worst(self) -> float:
        """The longest of the prompt answers, in seconds."""
        return max((outcome.seconds for outcome in self.prompt if not outcome.failure), default=0.0)

    @property
    def gap(self) -> float:
        """The longest time without a prompt answer, in seconds."""
        return longest_gap(self.prompt, max((outcome.end for outcome in self.prompt), default=0.0))

    def to_json(self) -> DrillJson:
        found = self.failures
        return {
            "environment": self.environment,
            "broken": self.what,
            "addresses": [target.url for target in self.load.targets],
            "profile": self.load.profile.name,
            "rate": self.load.rate,
            "seconds_until_noticed": round(self.recovery.noticed, 2),
            "seconds_until_whole": round(self.recovery.whole, 2),
            "seconds_until_answered": round(trouble(self.prompt, self.broke), 2) if self.well else None,
            "requests": len(self.outcomes),
            "failed": sum(found.by_kind.values()),
            "failed_before": found.before,
            "failed_in_flight": found.in_flight,
            "failed_until_noticed": found.unnoticed,
            "failed_later": found.later,
            "failures": found.by_kind,
            "worst_seconds": round(self.worst, 3),
            "longest_gap_seconds": round(self.gap, 3),
        }


class DrillJson(TypedDict):
    """What a break did: seconds from it on, and what became of the requests that were sent meanwhile.

    Failed requests are told apart by when they were sent (before the break, in flight at it, until the group noticed,
    later), and in `failures` by what became of them. `seconds_until_answered` is when the last request ended that
    failed or took over a second; null where that still went on at the end.
    """

    environment: str
    broken: str
    addresses: list[str]
    profile: str
    rate: float
    seconds_until_noticed: float
    seconds_until_whole: float
    seconds_until_answered: float | None
    requests: int
    failed: int
    failed_before: int
    failed_in_flight: int
    failed_until_noticed: int
    failed_later: int
    failures: dict[str, int]
    worst_seconds: float
    longest_gap_seconds: float


def _prompt(load: Load) -> frozenset[str]:
    return frozenset(endpoint.name for endpoint in load.profile.endpoints if endpoint.prompt)


def failures(outcomes: Sequence[Outcome], broke: float, noticed: float) -> Failures:
    """`broke` in seconds from the start of the load, `noticed` from the break."""
    failed = [outcome for outcome in outcomes if outcome.failure]
    due = [outcome.due - broke for outcome in failed]
    ended = sum(1 for outcome in failed if outcome.end < broke)
    return Failures(
        before=ended,
        in_flight=sum(1 for moment in due if moment <= 0) - ended,
        unnoticed=sum(1 for moment in due if 0 < moment <= noticed),
        later=sum(1 for moment in due if moment > noticed),
        by_kind=dict(Counter(outcome.failure for outcome in failed)),
    )


def drill(
    session: Session, environment: Environment, load: Load, broken: Break, reporter: Reporter, *, timeout: float
) -> DrillReport:
    """Breaks it under that load.

    Raises CloudError where the environment is not whole to begin with, and WaitTimeout where the break is not noticed,
    or is not mended, in `timeout` seconds.
    """
    if not inspect(session, environment).healthy:
        raise CloudError(f"{environment.name} is not whole", remedy=command_line(f"rollout {environment.name}"))
    found: list[tuple[float, Recovery, bool]] = []

    async def work(run: Run) -> None:
        await asyncio.sleep(AROUND)
        broke, recovered = await _broken(session, environment, broken, run, reporter, timeout)
        found.append((broke, recovered, await _answered(run, _prompt(load), timeout)))

    with reporter.step(f"{load.rate:g} requests a second to {environment.name}"):
        run = asyncio.run(send_and_tell(load, reporter, work))
    broke, recovered, well = found[0]
    return DrillReport(environment.name, broken.what, load, broke, recovered, tuple(run.outcomes), well)


async def _answered(run: Run, endpoints: frozenset[str], timeout: float) -> bool:
    """Whether it answers well in the end; waits for that."""
    now = asyncio.get_running_loop().time
    await asyncio.sleep(AROUND)

    def well() -> bool | Pending:
        return answers_well(run, endpoints, now() - run.began, AROUND) or Pending("failures")

    try:
        return await wait_for_async("it answers well", well, timeout=timeout)
    except WaitTimeout:
        return False


async def _broken(
    session: Session, environment: Environment, broken: Break, run: Run, reporter: Reporter, timeout: float
) -> tuple[float, Recovery]:
    """When it was broken, from the start of the load, and what came of it."""
    given_up = threading.Event()

    def looks() -> Look:
        if given_up.is_set():
            raise CloudError("the drill was given up")
        return look(session, environment, broken)

    before = await asyncio.to_thread(looks)
    began = time.monotonic()
    watched = asyncio.create_task(asyncio.to_thread(recovery, looks, before, began, timeout, reporter))
    try:
        await broken.act()
        reporter.info(broken.what)
        return began - run.began, await watched
    finally:
        given_up.set()
