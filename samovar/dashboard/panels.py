"""Graphs over time: healthy machines of each group; requests, errors and latencies by endpoint; statements."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from samovar.cloud.session import Session
from samovar.core.errors import SamovarError
from samovar.ops.events import Reading
from samovar.ops.metrics import BY, METRIC, Prometheus, RangeSeries, prometheus, query_range
from samovar.ops.statements import METRIC as STATEMENT_METRIC
from samovar.project.environment import Environment

WINDOW = 1800.0
"""Seconds that the graphs show."""
STEP = 15
"""Seconds between two points."""
RATE = "1m"
QUERIES = (
    ("Requests by endpoint", "per second", f"sum by ({BY}) (rate({METRIC}_count[{RATE}]))"),
    ("Errors by endpoint", "5xx per second", f'sum by ({BY}) (rate({METRIC}_count{{code="5xx"}}[{RATE}]))'),
    (
        "p90 by endpoint",
        "ms",
        f"1000 * histogram_quantile(0.9, sum by (le, {BY}) (rate({METRIC}_bucket[{RATE}])))",
    ),
)
"""The graphs: title, unit, and query."""
STATEMENTS = f"sum by (query) (rate({STATEMENT_METRIC}_seconds_total[{RATE}]))"
MOST_STATEMENTS, LONGEST = 5, 36
"""The most statements that are drawn, and characters of the name of each."""


@dataclass(frozen=True)
class Series:
    """A line: a value for each time of its panel, None where there is none."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Panel:
    """A graph in one unit. `times` are in seconds since 1970; `stepped` says that a value holds until the next."""

    title: str
    unit: str
    times: Sequence[float]
    series: tuple[Series, ...]
    stepped: bool = False


@dataclass(frozen=True)
class Graphs:
    """Panels, and a note that says what is not shown and why."""

    panels: tuple[Panel, ...] = ()
    note: str = ""


class HealthyMachines:
    """The numbers of healthy machines over time, kept where they change."""

    def __init__(self) -> None:
        self._points = deque[tuple[float, dict[str, int]]]()

    def add(self, reading: Reading) -> None:
        """Take in a reading, and drop what the graph does not show any more."""
        counts = {group.name: sum(m.healthy for m in group.machines) for group in reading.status.groups}
        if not self._points or self._points[-1][1] != counts:
            self._points.append((reading.time, counts))
        while len(self._points) > 1 and self._points[1][0] < reading.time - WINDOW:
            self._points.popleft()

    def panels(self, now: float) -> tuple[Panel, ...]:
        """Return the graph up to now."""
        if not self._points:
            return ()
        points = [(max(time, now - WINDOW), counts) for time, counts in self._points] + [(now, self._points[-1][1])]
        series = (Series(name, [counts.get(name) for _, counts in points]) for name in points[-1][1])
        return (Panel("Healthy machines", "", [time for time, _ in points], tuple(series), stepped=True),)


def graphs_reader(session: Session, environment: Environment, identity: Path | None) -> Callable[[], Graphs]:
    """Return what reads the graphs by endpoint; they are a note alone where nothing monitors the environment."""
    if environment.monitoring is None:
        note = "There are no graphs by endpoint: this environment has no group that monitors it (docs/metrics.md)."
        return lambda: Graphs(note=note)
    server = prometheus(session, environment, identity)
    return lambda: endpoint_graphs(server, time.time())


def endpoint_graphs(server: Prometheus, now: float) -> Graphs:
    """Return the graphs of the last half hour; a note alone where Prometheus does not answer."""
    end = int(now) // STEP * STEP
    times = range(end - int(WINDOW), end + 1, STEP)
    try:
        return Graphs((*(_panel(server, times, *query) for query in QUERIES), *_statements(server, times)))
    except SamovarError as error:
        return Graphs(note=f"No graphs by endpoint: {error.message}")


def _panel(server: Prometheus, times: range, title: str, unit: str, query: str) -> Panel:
    endpoints = sorted(query_range(server, query, times), key=lambda each: _endpoint(each.labels))
    return Panel(title, unit, list(times), tuple(_line(_endpoint(each.labels), each) for each in endpoints))


def _statements(server: Prometheus, times: range) -> Iterator[Panel]:
    """Yield the graph of the statements that took most time; nothing where no PostgreSQL is monitored."""
    longest = sorted(query_range(server, STATEMENTS, times), key=_sum, reverse=True)[:MOST_STATEMENTS]
    if longest:
        lines = tuple(_line(each.labels.get("query", "")[:LONGEST], each) for each in longest)
        yield Panel("Statements of PostgreSQL", "seconds per second", list(times), lines)


def _sum(answer: RangeSeries) -> float:
    return sum(filter(None, answer.values))


def _line(name: str, answer: RangeSeries) -> Series:
    return Series(name, [None if value is None else round(value, 3) for value in answer.values])


def _endpoint(labels: Mapping[str, str]) -> str:
    return f"{labels.get('method', '')} {labels.get('route') or 'no route'}"
