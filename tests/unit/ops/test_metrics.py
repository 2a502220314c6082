"""Metrics by endpoint, out of the answers of Prometheus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from samovar.core.errors import ConfigError
from samovar.ops.machine_http import MachineHttp, Query
from samovar.ops.metrics import (
    EndpointMetrics,
    Series,
    age,
    age_query,
    collector,
    count_query,
    endpoint_metrics,
    quantile_query,
    query,
)
from tests.support.checkout import environment

MOVIE = {"route": "/rows/:id", "method": "GET"}
OTHER = {"route": "", "method": "POST"}


class Prometheus(MachineHttp):
    """Answers queries from a mapping, as Prometheus does."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        object.__setattr__(self, "answers", answers)

    def text(self, path: str, query: Query) -> str:
        assert path == "/api/v1/query"
        kind, result = getattr(self, "answers")[dict(query)["query"]]  # noqa: B009 - the class is frozen
        return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}})


def vector(*samples: tuple[Mapping[str, str], str]) -> tuple[str, list[dict[str, Any]]]:
    return "vector", [{"metric": labels, "value": [1.5, value]} for labels, value in samples]


def test_endpoints_have_counts_rates_errors_and_quantiles() -> None:
    server = Prometheus(
        {
            count_query(60): vector((MOVIE, "30"), (OTHER, "0")),
            count_query(60, 'code="5xx"'): vector((MOVIE, "3")),
            quantile_query(60, 0.5): vector((MOVIE, "0.01234567"), (OTHER, "NaN")),
            quantile_query(60, 0.9): vector((MOVIE, "0.4")),
            quantile_query(60, 0.99): vector((MOVIE, "NaN")),
        }
    )
    metrics = endpoint_metrics(server, "dev", 60)
    assert (metrics.environment, metrics.seconds) == ("dev", 60)
    assert metrics.endpoints == (EndpointMetrics("/rows/:id", "GET", 30, 0.5, 3, 0.0123, 0.4, None),)


def test_a_query_shows_series_of_each_type() -> None:
    matrix = "matrix", [{"metric": {"a": "b"}, "values": [[1, "1"], [2, "7"]]}]
    server = Prometheus({"up": vector(({"job": "node"}, "1")), "2": ("scalar", [1, "2"]), "up[5m]": matrix})
    assert query(server, "up") == (Series({"job": "node"}, 1.0),)
    assert query(server, "2") == (Series({}, 2.0),)
    assert query(server, "up[5m]") == (Series({"a": "b"}, 7.0),)


def test_the_error_of_an_environment_without_monitoring_names_the_missing_line() -> None:
    with pytest.raises(ConfigError, match="no group that monitors") as error:
        collector(environment("dev"))
    assert "kind: samovar/monitoring" in error.value.remedy


def test_figures_are_as_old_as_the_last_that_an_edge_has_shown() -> None:
    assert age(Prometheus({age_query(300): vector(({}, "40.5"))}), 300) == 40.5
    assert age(Prometheus({age_query(300): vector()}), 300) is None


def test_a_long_window_has_a_hundred_steps() -> None:
    assert "[300s:5s]" in age_query(300)
    assert "[3600s:36s]" in age_query(3600)
