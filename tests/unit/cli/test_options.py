"""Durations as people write them on the command line."""

from __future__ import annotations

import pytest
import rich_click as click

from samovar.cli.options import Duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("60", 60), ("60s", 60), ("1.5s", 1.5), ("10m", 600), ("1h", 3600), ("500ms", 0.5)]
)
def test_a_duration_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "10x", "1d", "m", "1 m", "inf", "nan", "1e9"])
def test_an_invalid_duration_is_rejected_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write 500ms, 60s, 10m or 1h"):
        Duration().convert(text, None, None)


def test_a_duration_may_be_zero_where_that_makes_sense() -> None:
    assert Duration(zero=True).convert("0s", None, None) == 0
