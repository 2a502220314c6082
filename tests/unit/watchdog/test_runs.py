"""Runs by a schedule count as failed one after the other; those that the watchdog ended are counted by cause."""

from __future__ import annotations

from functools import reduce
from pathlib import Path

import pytest

from samovar.watchdog.policy import Cause
from samovar.watchdog.runs import Restarts, Runs, count


@pytest.mark.parametrize(
    ("observations", "failed"),
    [
        ((), 0),
        ((("", "inactive"),), 0),
        ((("a", "activating"), ("a", "active")), 0),
        ((("a", "failed"), ("a", "failed")), 1),
        ((("a", "failed"), ("b", "active")), 1),
        ((("a", "failed"), ("b", "active"), ("b", "failed")), 2),
        ((("a", "failed"), ("b", "failed"), ("c", "inactive")), 0),
        ((("a", "failed"), ("", "inactive")), 0),
    ],
)
def test_runs_that_failed_in_a_row_are_counted_once_each(
    observations: tuple[tuple[str, str], ...], failed: int
) -> None:
    assert reduce(lambda runs, each: count(runs, *each), observations, Runs()).failed == failed


def test_restarts_are_counted_by_cause_from_zero(tmp_path: Path) -> None:
    file = tmp_path / "metrics/watchdog.prom"
    restarts = Restarts(file, "shop.service")
    assert file.read_text().splitlines()[2:] == [
        'samovar_watchdog_restarts_total{name="shop.service",cause="errors"} 0',
        'samovar_watchdog_restarts_total{name="shop.service",cause="silence"} 0',
        'samovar_watchdog_restarts_total{name="shop.service",cause="memory"} 0',
        'samovar_watchdog_restarts_total{name="shop.service",cause="lifetime"} 0',
    ]
    restarts.count(Cause.MEMORY)
    restarts.count(Cause.MEMORY)
    assert 'samovar_watchdog_restarts_total{name="shop.service",cause="memory"} 2' in file.read_text().splitlines()
    assert [path.name for path in file.parent.iterdir()] == ["watchdog.prom"]
