"""Judges the alerts of a drill: those that it expects must begin to fire, and no other may."""

from __future__ import annotations

import math
import time
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass

from samovar.core.errors import SamovarError, WaitTimeout
from samovar.core.output import Reporter
from samovar.core.waiting import Pending, wait_for
from samovar.ops.metrics import Prometheus, query
from samovar.project.drill import Drill

BEGAN = """max_over_time(ALERTS{{alertstate="firing"}}[{seconds}s])
  and ignoring(alertstate) (max_over_time(ALERTS_FOR_STATE[{seconds}s]) >= time() - {seconds})
  unless (ALERTS{{alertstate="firing"}} offset {seconds}s
    and on () max(process_start_time_seconds{{job="prometheus"}}) > time() - {seconds})"""
"""The alerts that began in the last `seconds`, and fired: not those that something earlier has left.

Each alert begins anew where Prometheus was started meanwhile.
"""
BEFORE = 'ALERTS{{alertstate="firing"}} offset {seconds}s'
"""The alerts that fired `seconds` ago."""
LATE = 30.0
"""Seconds in which an alert comes whose cause has ended: after one look at the machine, and one at the rules."""


@dataclass(frozen=True)
class Fired:
    """The names of alerts: those that `began` since the fault and fired, and those that fired `before` it."""

    began: frozenset[str] = frozenset()
    before: frozenset[str] = frozenset()


@dataclass(frozen=True)
class DrillAlerts:
    """The alerts of a drill, by their names: `fired` are all that began to fire since the fault.

    `missing` are expected and did not; `unexpected` did, and the drill does not name them. `not_judged` are expected
    and fired already before the fault, so that they could not begin. Where a drill does not state its alerts, all are
    in `fired` alone.
    """

    fired: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    not_judged: tuple[str, ...] = ()

    @property
    def as_expected(self) -> bool:
        """Return whether none is missing, and none unexpected."""
        return not self.missing and not self.unexpected


def judge(drill: Drill, fired: Fired) -> DrillAlerts:
    """Return what fired, and how that differs from what the drill states."""
    silent = _silent(drill, fired)
    stated = {*(fired.began if drill.alerts is None else drill.alerts), *drill.possible_alerts}
    return DrillAlerts(
        fired=tuple(sorted(fired.began)),
        missing=tuple(sorted(silent - fired.before)),
        unexpected=tuple(sorted(fired.began - stated)),
        not_judged=tuple(sorted(silent & fired.before)),
    )


def _silent(drill: Drill, fired: Fired) -> AbstractSet[str]:
    return {*(drill.alerts or ())} - fired.began


def fired_since(began: float, drill: Drill, server: Prometheus | None, reporter: Reporter) -> Fired | None:
    """Return the alerts since `began`, the monotonic time of the fault; None without a server that answers.

    Those that the drill expects have LATE seconds to come.
    """
    if server is None:
        return None
    try:
        return _wait_for_expected(server, drill, began)
    except SamovarError as error:
        reporter.info(f"the alerts of {drill.name} are not known: {error.message}")
        return None


def _wait_for_expected(server: Prometheus, drill: Drill, began: float) -> Fired:
    last = Fired()

    def probe() -> bool | Pending:
        nonlocal last
        last = read_alerts(server, time.monotonic() - began)
        left = _silent(drill, last) - last.before
        return not left or Pending(f"{', '.join(sorted(left))} did not fire")

    with suppress(WaitTimeout):
        wait_for("the alerts", probe, timeout=LATE)
    return last


def read_alerts(server: Prometheus, seconds: float) -> Fired:
    """Return the alerts of the last `seconds`, by the clock of Prometheus. Raises CloudError."""
    window = math.ceil(seconds)
    return Fired(*(_names(server, text.format(seconds=window)) for text in (BEGAN, BEFORE)))


def _names(server: Prometheus, expression: str) -> frozenset[str]:
    return frozenset(series.labels["alertname"] for series in query(server, expression))
