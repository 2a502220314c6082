"""The metrics of an environment, asked of the Prometheus of the group that monitors it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

from samovar.cloud.session import Session
from samovar.core.errors import ConfigError
from samovar.ops.machine_http import MachineHttp
from samovar.project.environment import Environment

PROMETHEUS_PORT = 9090
QUANTILES = (0.5, 0.9, 0.99)
METRIC = "edge_http_request_duration_seconds"
"""The histogram of requests that edges count."""
BY = "route, method"
LEAST_STEP = 5.0
"""Seconds between two looks at a series at the least."""


@dataclass(frozen=True)
class EndpointMetrics:
    """The requests to an endpoint; latencies of quantiles in seconds, None where nothing was measured.

    `errors` are answers of 5xx.
    """

    route: str
    method: str
    requests: int
    requests_per_second: float
    errors: int
    p50: float | None
    p90: float | None
    p99: float | None


@dataclass(frozen=True)
class Metrics:
    """The endpoints of an environment in the last `seconds`, by what the edges that met the clients have counted."""

    environment: str
    seconds: float
    endpoints: tuple[EndpointMetrics, ...]


@dataclass(frozen=True)
class Series:
    """A time series of the answer to a query; its value at the end, or the text of a scalar."""

    labels: Mapping[str, str]
    value: float | None


@dataclass(frozen=True)
class RangeSeries:
    """A time series over a range of times: a value for each, None where nothing was measured."""

    labels: Mapping[str, str]
    values: Sequence[float | None]


class Prometheus(Protocol):
    """Answers queries of Prometheus' HTTP API."""

    def text(self, path: str, query: Mapping[str, str]) -> str:
        """Return the body of an answer. Raises CloudError."""
        ...


_Sample = tuple[float, str]
"""A time in seconds since 1970, and a number as text."""


class _Result(BaseModel, frozen=True):
    """A series of a vector, which has a `value`, or of a matrix, which has `values`."""

    metric: dict[str, str]
    value: _Sample | None = None
    values: tuple[_Sample, ...] = ()

    @property
    def last(self) -> _Sample:
        return self.value or self.values[-1]


class _Data(BaseModel, frozen=True):
    """The data of an answer: series, or the one sample of a scalar."""

    result: _Sample | list[_Result]


class _Answer(BaseModel, frozen=True):
    """The answer to a query (Prometheus' HTTP API, /api/v1/query)."""

    data: _Data


def prometheus(session: Session, environment: Environment, identity: Path | None = None) -> MachineHttp:
    """Return the way to the environment's Prometheus. Raises ConfigError where nothing monitors it."""
    return MachineHttp(session, environment, collector(environment), PROMETHEUS_PORT, identity, service="Prometheus")


def collector(environment: Environment) -> str:
    """Return the machine that collects metrics and journals. Raises ConfigError where there is none."""
    if environment.monitoring is None:
        raise ConfigError(
            f"{environment.name} has no group that monitors it",
            remedy="add a line to groups: `monitoring: {kind: samovar/monitoring}`, and roll out",
        )
    return f"{environment.monitoring.name}-1"


def query(server: Prometheus, expression: str) -> tuple[Series, ...]:
    """Return what an expression of PromQL is now. Raises CloudError, also for an expression that is none."""
    answer = _Answer.model_validate_json(server.text("/api/v1/query", {"query": expression}))
    result = answer.data.result
    if isinstance(result, tuple):
        return (Series({}, _number(result[1])),)
    return tuple(Series(each.metric, _number(each.last[1])) for each in result)


def query_range(server: Prometheus, expression: str, times: range) -> tuple[RangeSeries, ...]:
    """Return what an expression of PromQL was at `times`, in seconds since 1970. Raises CloudError."""
    window = {"start": str(times[0]), "end": str(times[-1]), "step": str(times.step)}
    answer = _Answer.model_validate_json(server.text("/api/v1/query_range", {"query": expression, **window}))
    result = answer.data.result
    return () if isinstance(result, tuple) else tuple(RangeSeries(each.metric, _at(each, times)) for each in result)


def _at(series: _Result, times: range) -> Sequence[float | None]:
    values = {round(moment): _number(text) for moment, text in series.values}
    return [values.get(moment) for moment in times]


def endpoint_metrics(server: Prometheus, environment: str, seconds: float) -> Metrics:
    """Return the requests, errors and latencies by endpoint in the last `seconds`. Raises CloudError."""
    counts = _by_endpoint(query(server, count_query(seconds)))
    errors = _by_endpoint(query(server, count_query(seconds, 'code="5xx"')))
    latencies = {each: _by_endpoint(query(server, quantile_query(seconds, each))) for each in QUANTILES}
    endpoints = tuple(
        EndpointMetrics(
            *key,
            round(count),
            round(count / seconds, 3),
            round(errors.get(key) or 0),
            *(_rounded(latencies[quantile].get(key)) for quantile in QUANTILES),
        )
        for key, count in sorted(counts.items())
        if count
    )
    return Metrics(environment, seconds, endpoints)


def age(server: Prometheus, seconds: float) -> float | None:
    """Return how many seconds ago an edge showed its requests last; None for none in a window. Raises CloudError."""
    return next((each.value for each in query(server, age_query(seconds))), None)


def age_query(seconds: float) -> str:
    """Return the query for the age of the last requests in a window; if they are old, it is as exact as a hundredth."""
    moment, step = f"timestamp({METRIC}_count)", math.ceil(max(LEAST_STEP, seconds / 100))
    return f"time() - (max({moment}) or max(max_over_time({moment}[{math.ceil(seconds)}s:{step}s])))"


def count_query(seconds: float, labels: str = "") -> str:
    """Return the query for the requests of a window by endpoint, exactly as they were counted."""
    return f"sum by ({BY}) ({increase(f'{METRIC}_count{{{labels}}}', seconds)})"


def quantile_query(seconds: float, quantile: float) -> str:
    """Return the query for a quantile of the latencies of a window by endpoint."""
    return f"histogram_quantile({quantile}, sum by (le, {BY}) ({increase(f'{METRIC}_bucket', seconds)}))"


def increase(metric: str, seconds: float) -> str:
    """Return the query by how much counters grew in a window; for one that is new in it `increase` would show less.

    Where a counter began anew meanwhile `increase` knows more. `metric` is a name, with labels or without.
    """
    window = f"{math.ceil(seconds * 1000)}ms"
    now = f"last_over_time({metric}[{window}])"
    before = f"({metric} offset {window} or {now} * 0)"
    return f"({now} - {before} >= 0 or increase({metric}[{window}]))"


def _by_endpoint(series: Iterable[Series]) -> dict[tuple[str, str], float]:
    return {
        (each.labels.get("route", ""), each.labels.get("method", "")): each.value
        for each in series
        if each.value is not None
    }


def _number(text: str) -> float | None:
    """JSON has neither NaN nor infinity."""
    value = float(text)
    return value if math.isfinite(value) else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
