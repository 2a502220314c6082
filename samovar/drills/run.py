"""Runs a drill: it breaks an environment under load and measures the time until it has recovered."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from samovar.cloud.session import Session
from samovar.core.errors import CloudError, WaitTimeout
from samovar.core.output import Reporter
from samovar.core.program import command_line
from samovar.core.waiting import Pending, wait_for_async
from samovar.deploy.read_status import read_status
from samovar.drills.faults import Fault
from samovar.drills.recovery import Recovery, Snapshot, measure_recovery, take_snapshot
from samovar.load.generator import Load, Run
from samovar.load.report import send_with_progress
from samovar.load.results import Outcome, longest_gap
from samovar.load.slo import answers_well, seconds_of_trouble
from samovar.project.drill import Expectation
from samovar.project.environment import Environment

MARGIN = 2.0
"""Seconds of load before the fault, and after the recovery."""
NO_LIMITS = Expectation()
MAX_SECONDS = 900.0
"""Seconds of load at most."""


@dataclass(frozen=True)
class Observed:
    """The observation of a drill; `began` is the time of the fault in seconds of the load."""

    began: float
    recovery: Recovery
    answers_well: bool = True


@dataclass(frozen=True)
class Failures:
    """The failed requests: ended before the fault, in flight at it, sent until it was detected, sent after that."""

    before: int
    in_flight: int
    before_detection: int
    after_detection: int
    by_kind: dict[str, int]


@dataclass(frozen=True)
class DrillReport:
    """The report of a drill: seconds count from the fault, requests are those of the load.

    Failed requests are counted by when they were sent (before the fault, in flight at it, before the loss was detected,
    after that), and in `failures` by how they failed. `seconds_to_answer` is when the last request ended that failed or
    took over a second; null if that still went on at the end. `violations` names each limit of the drill's `expect`
    that was exceeded.
    """

    environment: str
    fault: str
    addresses: tuple[str, ...]
    profile: str
    rate: float
    seconds_to_detect: float
    seconds_to_recover: float
    seconds_to_answer: float | None
    requests: int
    failed: int
    failed_before: int
    failed_in_flight: int
    failed_before_detection: int
    failed_after_detection: int
    failures: dict[str, int]
    max_seconds: float
    longest_gap_seconds: float
    violations: tuple[str, ...] = ()


def report(
    environment: str,
    fault: str,
    load: Load,
    outcomes: Sequence[Outcome],
    observed: Observed,
    expected: Expectation = NO_LIMITS,
) -> DrillReport:
    """Return the report of a drill that has ended. Slowness counts for interactive endpoints: a list may take time."""
    failures = count_failures(outcomes, observed.began, observed.recovery.time_to_detect)
    names = _interactive(load)
    interactive = [outcome for outcome in outcomes if outcome.endpoint in names]
    answered = [outcome.seconds for outcome in interactive if not outcome.failure]
    end = max((outcome.end for outcome in interactive), default=0.0)
    trouble = round(seconds_of_trouble(interactive, observed.began), 2)
    measured = DrillReport(
        environment=environment,
        fault=fault,
        addresses=tuple(target.url for target in load.targets),
        profile=load.profile.name,
        rate=load.rate,
        seconds_to_detect=round(observed.recovery.time_to_detect, 2),
        seconds_to_recover=round(observed.recovery.time_to_recover, 2),
        seconds_to_answer=trouble if observed.answers_well else None,
        requests=len(outcomes),
        failed=sum(failures.by_kind.values()),
        failed_before=failures.before,
        failed_in_flight=failures.in_flight,
        failed_before_detection=failures.before_detection,
        failed_after_detection=failures.after_detection,
        failures=failures.by_kind,
        max_seconds=round(max(answered, default=0.0), 3),
        longest_gap_seconds=round(longest_gap(interactive, end), 3),
    )
    return replace(measured, violations=tuple(violations(expected, measured)))


def violations(expected: Expectation, measured: DrillReport) -> list[str]:
    """Return each limit that was exceeded, as `name: measured, expected limit at most`."""
    limits = expected.model_dump(exclude_none=True)
    values = {name: getattr(measured, name) for name in limits}
    return [
        f"{name}: {values[name]}, expected {limit:g} at most"
        for name, limit in limits.items()
        if values[name] is None or values[name] > limit
    ]


def count_failures(outcomes: Sequence[Outcome], began: float, time_to_detect: float) -> Failures:
    """Count the failed requests. `began` is in seconds from the start of the load, `time_to_detect` from the fault."""
    failed = [outcome for outcome in outcomes if outcome.failure]
    due = [outcome.due - began for outcome in failed]
    ended = sum(1 for outcome in failed if outcome.end < began)
    return Failures(
        before=ended,
        in_flight=sum(1 for moment in due if moment <= 0) - ended,
        before_detection=sum(1 for moment in due if 0 < moment <= time_to_detect),
        after_detection=sum(1 for moment in due if moment > time_to_detect),
        by_kind=dict(Counter(outcome.failure for outcome in failed)),
    )


def run_drill(
    session: Session,
    environment: Environment,
    load: Load,
    fault: Fault,
    reporter: Reporter,
    *,
    timeout: float,
    expected: Expectation = NO_LIMITS,
) -> DrillReport:
    """Inject the fault under the load, and report the recovery.

    Raises CloudError if the environment is not healthy to begin with, and WaitTimeout if the loss is not detected, or
    the environment has not recovered, in `timeout` seconds.
    """
    if not read_status(session, environment).healthy:
        raise CloudError(f"{environment.name} is not healthy", remedy=command_line(f"rollout {environment.name}"))
    results: list[Observed] = []

    async def work(run: Run) -> None:
        await asyncio.sleep(MARGIN)
        began, recovery = await _inject_and_watch(session, environment, fault, run, reporter, timeout)
        results.append(Observed(began, recovery, await _wait_for_answers(run, _interactive(load), timeout)))

    with reporter.step(f"{load.rate:g} requests a second to {environment.name}"):
        run = asyncio.run(send_with_progress(load, reporter, work))
    return report(environment.name, fault.summary, load, run.outcomes, results[0], expected)


def _interactive(load: Load) -> frozenset[str]:
    return frozenset(endpoint.request for endpoint in load.profile.endpoints if endpoint.interactive)


async def _wait_for_answers(run: Run, endpoints: frozenset[str], timeout: float) -> bool:
    """Wait until the service answers well; returns False if it does not in `timeout` seconds."""
    now = asyncio.get_running_loop().time
    await asyncio.sleep(MARGIN)

    def well() -> bool | Pending:
        elapsed = now() - run.began
        return answers_well(run.outcomes, run.waiting.values(), endpoints, elapsed, MARGIN) or Pending("failures")

    try:
        return await wait_for_async("the service answers well", well, timeout=timeout)
    except WaitTimeout:
        return False


async def _inject_and_watch(
    session: Session, environment: Environment, fault: Fault, run: Run, reporter: Reporter, timeout: float
) -> tuple[float, Recovery]:
    """Return the time of the fault in seconds of the load, and the recovery."""
    cancelled = threading.Event()

    def snapshot() -> Snapshot:
        if cancelled.is_set():
            raise CloudError("the drill was cancelled")
        return take_snapshot(session, environment, fault)

    before = await asyncio.to_thread(snapshot)
    began = time.monotonic()
    watching = asyncio.create_task(asyncio.to_thread(measure_recovery, snapshot, before, began, timeout, reporter))
    try:
        await fault.inject()
        reporter.info(fault.summary)
        return began - run.began, await watching
    finally:
        cancelled.set()
