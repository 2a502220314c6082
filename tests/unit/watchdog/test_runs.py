"""The watchdog counts runs that failed."""

from __future__ import annotations

from functools import reduce

import pytest

from samovar.watchdog.runs import Runs, count


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
