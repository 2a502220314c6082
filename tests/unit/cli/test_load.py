"""`load` on the command line: durations as people write them, bounds on what is sent, refusals before anything is."""

from __future__ import annotations

from pathlib import Path

import pytest
import rich_click as click

from samovar.cli.load import MAX_REQUESTS, Duration, _check_size
from samovar.cli.main import main
from samovar.core.errors import ConfigError, ExitCode


@pytest.mark.parametrize(("text", "seconds"), [("60", 60), ("60s", 60), ("1.5s", 1.5), ("10m", 600), ("1h", 3600)])
def test_a_duration_is_seconds_minutes_or_hours(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "10x", "1d", "m", "1 m", "inf", "nan", "1e9"])
def test_an_invalid_duration_is_rejected_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write 60s, 10m or 1h"):
        Duration().convert(text, None, None)


def test_too_many_requests_are_rejected() -> None:
    _check_size(500, MAX_REQUESTS / 500)
    with pytest.raises(ConfigError, match="more than 500000") as error:
        _check_size(500, MAX_REQUESTS / 500 + 1)
    assert "--for" in error.value.remedy


@pytest.mark.parametrize(
    "option", [("--rate", "501"), ("--rate", "0"), ("--new", "1.1"), ("--for", "never"), ("--profile", "none")]
)
def test_a_wrong_option_is_refused_before_any_cloud_is_asked(option: tuple[str, str], tmp_path: Path) -> None:
    assert main(["--home", str(tmp_path / "none"), "load", "dev", *option]) == ExitCode.USAGE
    assert not (tmp_path / "none").exists()
