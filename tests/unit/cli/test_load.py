"""`load` on the command line: bounds on what is sent, refusals before anything is."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.cli.load import MAX_REQUESTS, _check_size
from samovar.cli.main import main
from samovar.core.errors import ConfigError, ExitCode


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
