"""The report of a drill: what was measured, and the verdict by the drill's own bounds. Pure.

`drill -o json` is these values, and its JSON Schema is that of these classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from samovar.drills.alerts import DrillAlerts, Fired, judge
from samovar.drills.recovery import Recovery
from samovar.load.generator import Load
from samovar.load.results import Outcome, longest_gap
from samovar.load.slo import seconds_of_trouble
from samovar.project.drill import Drill, Expectation
from samovar.project.load_profile import SLOW_ANSWER


class Verdict(StrEnum):
    """The verdict on a drill.

    `held`: every bound holds and no user noticed anything. `degraded`: the bounds hold, and users met failures or
    answers that took over a second, or other alerts fired than the drill expects. `broke`: a bound does not hold, or
    the environment was not whole at the end.
    """

    HELD = "held"
    DEGRADED = "degraded"
    BROKE = "broke"


@dataclass(frozen=True)
class Observed:
    """The observation of a drill; `began` is the time of the fault in seconds of the load.

    `fired` is None where no alerts are known.
    """

    began: float
    recovery: Recovery
    answers_well: bool = True
    fired: Fired | None = None


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
    after that), and in `failures` by how they failed. `seconds_to_detect` is null if the cloud noticed nothing,
    `seconds_to_recover` if the environment was not whole at the end, `seconds_to_put_back` if there was nothing to put
    back. `seconds_to_answer` is when the last request ended that failed or took over a second; null if that still went
    on at the end. `healed_by` names what healed: `balancer`, `systemd`, `watchdog`, `group`, or the `drill` that put
    back what it broke. `violations` names each limit of the drill's `expect` that was exceeded. `alerts` is null where
    nothing monitors the environment, or that does not answer.
    """

    environment: str
    drill: str
    fault: str
    verdict: Verdict
    addresses: tuple[str, ...]
    profile: str
    rate: float
    seconds_to_detect: float | None
    seconds_to_recover: float | None
    seconds_to_put_back: float | None
    seconds_to_answer: float | None
    healed_by: tuple[str, ...]
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
    alerts: DrillAlerts | None = None


@dataclass(frozen=True)
class NotRun:
    """A drill that was not run, and why."""

    drill: str
    reason: str


@dataclass(frozen=True)
class DrillReports:
    """The reports of several drills, one after another, and the drills that were not run."""

    environment: str
    drills: tuple[DrillReport, ...]
    not_run: tuple[NotRun, ...] = ()


def report(
    environment: str, drill: Drill, fault: str, load: Load, outcomes: Sequence[Outcome], observed: Observed
) -> DrillReport:
    """Return the report of a drill that has ended. Slowness counts for interactive endpoints: a list may take time."""
    recovery = observed.recovery
    failures = count_failures(outcomes, observed.began, recovery.time_to_detect)
    names = interactive(load)
    quick = [outcome for outcome in outcomes if outcome.endpoint in names]
    answered = [outcome.seconds for outcome in quick if not outcome.failure]
    end = max((outcome.end for outcome in quick), default=0.0)
    trouble = round(seconds_of_trouble(quick, observed.began), 2)
    measured = DrillReport(
        environment=environment,
        drill=drill.name,
        fault=fault,
        verdict=Verdict.BROKE,
        addresses=tuple(target.url for target in load.targets),
        profile=load.profile.name,
        rate=load.rate,
        seconds_to_detect=_rounded(recovery.time_to_detect),
        seconds_to_recover=_rounded(recovery.time_to_recover),
        seconds_to_put_back=_rounded(recovery.time_to_put_back),
        seconds_to_answer=trouble if observed.answers_well else None,
        healed_by=recovery.healed_by,
        requests=len(outcomes),
        failed=sum(failures.by_kind.values()),
        failed_before=failures.before,
        failed_in_flight=failures.in_flight,
        failed_before_detection=failures.before_detection,
        failed_after_detection=failures.after_detection,
        failures=failures.by_kind,
        max_seconds=round(max(answered, default=0.0), 3),
        longest_gap_seconds=round(longest_gap(quick, end), 3),
        alerts=judge(drill, observed.fired) if observed.fired else None,
    )
    exceeded = tuple(violations(drill.expect, measured))
    return replace(measured, violations=exceeded, verdict=verdict(measured, exceeded))


def interactive(load: Load) -> frozenset[str]:
    """Return the endpoints whose answers users wait for."""
    return frozenset(endpoint.request for endpoint in load.profile.endpoints if endpoint.interactive)


def verdict(measured: DrillReport, exceeded: Sequence[str]) -> Verdict:
    """Return the verdict on what was measured, if those bounds were exceeded."""
    if exceeded or measured.seconds_to_recover is None or measured.seconds_to_answer is None:
        return Verdict.BROKE
    noticed = measured.failed > measured.failed_before or longest_stall(measured) > SLOW_ANSWER
    alerts_differ = measured.alerts is not None and not measured.alerts.as_expected
    return Verdict.DEGRADED if noticed or alerts_differ else Verdict.HELD


def longest_stall(measured: DrillReport) -> float:
    """Return the seconds of the slowest answer, or of the longest time without any."""
    return max(measured.max_seconds, measured.longest_gap_seconds)


def violations(expected: Expectation, measured: DrillReport) -> list[str]:
    """Return each limit that was exceeded, as `name: measured, expected limit at most`."""
    limits = expected.model_dump(exclude_none=True)
    values = {name: getattr(measured, name) for name in limits}
    return [
        f"{name}: {values[name]}, expected {limit:g} at most"
        for name, limit in limits.items()
        if values[name] is None or values[name] > limit
    ]


def count_failures(outcomes: Sequence[Outcome], began: float, time_to_detect: float | None) -> Failures:
    """Count the failed requests. `began` is in seconds from the start of the load, `time_to_detect` from the fault."""
    failed = [outcome for outcome in outcomes if outcome.failure]
    due = [outcome.due - began for outcome in failed]
    ended = sum(1 for outcome in failed if outcome.end < began)
    later = sum(1 for moment in due if time_to_detect is not None and moment > time_to_detect)
    return Failures(
        before=ended,
        in_flight=sum(1 for moment in due if moment <= 0) - ended,
        before_detection=sum(1 for moment in due if moment > 0) - later,
        after_detection=later,
        by_kind=dict(Counter(outcome.failure for outcome in failed)),
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
