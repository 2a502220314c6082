"""Errors: what an operator reads, and the exit codes that scripts rely on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from samovar.core.errors import (
    PROGRAM_VARIABLE,
    CloudError,
    ConfigError,
    ExitCode,
    HostError,
    ProcessFailed,
    SamovarError,
    WaitTimeout,
    command_line,
)


def test_an_error_shows_its_message_and_its_remedy() -> None:
    assert str(ConfigError("config.yaml:3: unknown key", remedy="remove it")) == (
        "config.yaml:3: unknown key\n  remedy: remove it"
    )
    assert str(ConfigError("config.yaml:3: unknown key")) == "config.yaml:3: unknown key"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SamovarError("x"), 1),
        (ConfigError("x"), 3),
        (CloudError("x"), 4),
        (WaitTimeout("x"), 5),
        (ProcessFailed("x", returncode=9, output=""), 6),
        (HostError("x"), 7),
    ],
)
def test_each_kind_of_error_keeps_its_exit_code(error: SamovarError, code: int) -> None:
    assert error.code == code


def test_exit_codes_are_distinct_and_leave_the_shells_own_alone() -> None:
    numbers = [code.value for code in ExitCode.__members__.values()]
    assert len(set(numbers)) == len(numbers)
    assert not {126, 127} & set(numbers)


@pytest.mark.parametrize(
    ("started", "folder", "expected"),
    [
        ("checkout/cli.py", "checkout", "./cli.py up dev"),
        ("checkout/cli.py", "shop", "{}/checkout/cli.py up dev"),
        ("bin/samovar", "shop", "samovar up dev"),
    ],
)
def test_command_can_be_typed_in_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: str, folder: str, expected: str
) -> None:
    monkeypatch.delenv(PROGRAM_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / started)])
    assert command_line("up dev", tmp_path / folder) == expected.format(tmp_path)
    (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / folder)
    assert command_line("up dev") == expected.format(tmp_path)
