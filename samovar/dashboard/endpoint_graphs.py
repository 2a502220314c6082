"""Graphs of requests, errors and latencies by endpoint, from the Prometheus of an environment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from pydantic import BaseModel

from samovar.core.errors import SamovarError
from samovar.dashboard.graphs import WINDOW, Graphs, Panel, Series

STEP = 15
"""Seconds between two points."""
METRIC = "edge_http_request_duration_seconds"
BY = "route, method"
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


class Prometheus(Protocol):
    """Answers queries of Prometheus' HTTP API."""

    def text(self, path: str, query: Mapping[str, str]) -> str:
        """Return the body of an answer. Raises SamovarError."""
        ...


class Row(BaseModel):
    """A series of an answer: its labels, and its values by time."""

    metric: dict[str, str]
    values: list[tuple[float, float]]


class Data(BaseModel):
    """The series of an answer."""

    result: list[Row]


class Answer(BaseModel):
    """An answer of `query_range`."""

    data: Data


def endpoint_graphs(server: Prometheus, now: float) -> Graphs:
    """Return the graphs of the last half hour; a note alone where Prometheus does not answer."""
    end = int(now) // STEP * STEP
    times = range(end - int(WINDOW), end + 1, STEP)
    try:
        return Graphs(tuple(_panel(server, times, *query) for query in QUERIES))
    except SamovarError as error:
        return Graphs(note=f"No graphs by endpoint: {error.message}")


def _panel(server: Prometheus, times: range, title: str, unit: str, query: str) -> Panel:
    window = {"start": str(times[0]), "end": str(times[-1]), "step": str(STEP)}
    answer = Answer.model_validate_json(server.text("/api/v1/query_range", {"query": query, **window}))
    rows = sorted(answer.data.result, key=lambda row: _endpoint(row.metric))
    return Panel(title, unit, list(times), tuple(Series(_endpoint(row.metric), _values(row, times)) for row in rows))


def _endpoint(labels: Mapping[str, str]) -> str:
    return f"{labels.get('method', '')} {labels.get('route') or 'no route'}"


def _values(row: Row, times: range) -> Sequence[float | None]:
    """JSON has no NaN, which Prometheus answers where nothing was measured."""
    values = {round(at): value for at, value in row.values if math.isfinite(value)}
    return [None if (value := values.get(at)) is None else round(value, 3) for at in times]
