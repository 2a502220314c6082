"""Graphs of requests, errors and latencies by endpoint, from the Prometheus of an environment."""

from __future__ import annotations

from collections.abc import Mapping

from samovar.core.errors import SamovarError
from samovar.dashboard.panels import WINDOW, Graphs, Panel, Series
from samovar.ops.metrics import BY, METRIC, Prometheus, RangeSeries, query_range

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


def endpoint_graphs(server: Prometheus, now: float) -> Graphs:
    """Return the graphs of the last half hour; a note alone where Prometheus does not answer."""
    end = int(now) // STEP * STEP
    times = range(end - int(WINDOW), end + 1, STEP)
    try:
        return Graphs(tuple(_panel(server, times, *query) for query in QUERIES))
    except SamovarError as error:
        return Graphs(note=f"No graphs by endpoint: {error.message}")


def _panel(server: Prometheus, times: range, title: str, unit: str, query: str) -> Panel:
    endpoints = sorted(query_range(server, query, times), key=lambda each: _endpoint(each.labels))
    return Panel(title, unit, list(times), tuple(map(_line, endpoints)))


def _line(answer: RangeSeries) -> Series:
    return Series(_endpoint(answer.labels), [None if value is None else round(value, 3) for value in answer.values])


def _endpoint(labels: Mapping[str, str]) -> str:
    return f"{labels.get('method', '')} {labels.get('route') or 'no route'}"
