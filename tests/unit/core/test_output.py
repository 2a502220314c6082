"""Output: the same value for people and for programs, data and talk apart, and a log that reads well off a terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import termios
from enum import StrEnum

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from samovar.core.output import (
    Format,
    PlainReporter,
    TerminalReporter,
    date_time,
    printable,
    show,
    stderr_reporter,
    table,
)

Capture = pytest.CaptureFixture[str]


class Health(StrEnum):
    HEALTHY = "healthy"


STATUS = {"environment": "dev", "machines": ({"name": "nginx-1", "health": Health.HEALTHY},), "größe": 2}
PLAIN = {"environment": "dev", "machines": [{"name": "nginx-1", "health": "healthy"}], "größe": 2}


def test_a_step_that_is_done_is_shown_by_its_name_alone(capsys: Capture) -> None:
    """Its name may come from what a package prints in a bake."""
    reporter = TerminalReporter()
    with reporter.step("shop: \x1b]0;owned\x07[link=https://evil.example]packages"):
        pass
    shown = capsys.readouterr().err
    assert "\x1b]0;" not in shown
    assert "shop: [link=https://evil.example]packages" in shown


def test_json_holds_the_complete_value(capsys: Capture) -> None:
    show(STATUS, Format.JSON)
    out, err = capsys.readouterr()
    assert json.loads(out) == PLAIN
    assert "größe" in out
    assert err == ""


def test_json_on_a_terminal_moves_no_cursor(capsys: Capture) -> None:
    """Statements that a database was asked are shown as they are."""
    query = "SELECT '\x9b2J\x1b[2J\x7f'"
    show({"query": query}, Format.JSON)
    out = capsys.readouterr().out
    assert json.loads(out) == {"query": query}
    assert printable(out) == out


def test_yaml_holds_what_json_holds_in_the_same_order(capsys: Capture) -> None:
    show(STATUS, Format.YAML)
    out, err = capsys.readouterr()
    assert yaml.safe_load(out) == PLAIN
    assert list(yaml.safe_load(out)) == list(PLAIN)
    assert "größe" in out
    assert err == ""


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02 03:04:05"),
        ("2026-01-02T03:04:05+03:00", "2026-01-02 00:04:05"),
        ("", ""),
    ],
)
def test_a_time_is_shown_to_the_second(time: str, shown: str) -> None:
    assert date_time(time) == shown


def test_a_table_in_a_pipe_is_one_plain_line_a_row(capsys: Capture) -> None:
    address = "http://127.66.1.2/" + "x" * 300
    show({}, Format.TABLE, [table(["NAME", "ADDRESS"], [["nginx-1", address], ["[red]nginx-2[/]", "-"]])])
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()]
    assert rows == [["NAME", "ADDRESS"], ["nginx-1", address], ["[red]nginx-2[/]", "-"]]
    assert "\x1b" not in out
    assert err == ""


def test_the_plain_reporter_writes_each_step_with_its_seconds(capsys: Capture) -> None:
    reporter = PlainReporter()
    with reporter.step("bake base"):
        reporter.info("packages [1/2]")
    out, err = capsys.readouterr()
    assert out == ""
    first, second, third = err.splitlines()
    assert (first, second) == ("bake base ...", "packages [1/2]")
    assert re.fullmatch(r"bake base: done in \d+\.\d s", third)


def test_a_step_that_fails_is_not_called_done(capsys: Capture) -> None:
    with pytest.raises(LookupError), PlainReporter().step("bake base"):
        raise LookupError
    assert "done" not in capsys.readouterr().err


def test_a_pipe_has_a_plain_reporter() -> None:
    assert isinstance(stderr_reporter(), PlainReporter)


SIDE_BY_SIDE = """
import contextlib, time
from samovar.core.output import stderr_reporter
reporter = stderr_reporter()
with contextlib.ExitStack() as steps:
    for number in range(8):
        steps.enter_context(reporter.step(f"create address {number}"))
    time.sleep(0.3)
"""


def test_the_terminal_reporter_keeps_to_one_line() -> None:
    terminal, its_end = os.openpty()
    termios.tcsetwinsize(its_end, (24, 40))
    # pytest-xdist sets COLUMNS in its processes, which would count more than the terminal's size.
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    subprocess.run(
        [sys.executable, "-c", SIDE_BY_SIDE], stderr=its_end, env=environment | {"TERM": "xterm"}, check=True
    )
    os.close(its_end)
    written = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in re.split(r"[\r\n]+", written)]
    assert any("create address 0, create address 1" in line and line.endswith("…") for line in lines), lines
    assert max(map(len, lines)) <= 40


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[1;31mred\x1b[0m\r\n", "red\n"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;cm0gLXJm\x1b\\after", "after"),
        ("\x1b[2J\x1b[H\x1b]8;;http://x\x07link", "link"),
        ("\x1bcreset", "reset"),
        ("bell\x07 back\x08 return\rover", "bell\\x07 back\\x08 return\\rover"),
        ("\x9b31m \u202eevil", "\\x9b31m \\u202eevil"),
        ("чай, größe", "чай, größe"),
    ],
)
def test_escape_sequences_never_reach_a_terminal(text: str, shown: str, capsys: Capture) -> None:
    assert printable(text) == shown
    PlainReporter().info(text)
    assert capsys.readouterr().err == f"{shown}\n"


@given(st.text())
def test_no_text_keeps_a_character_that_moves_the_cursor(text: str) -> None:
    assert all(letter.isprintable() or letter in "\n\t" for letter in printable(text))
    assert printable(printable(text)) == printable(text)


def test_tables_and_texts_have_no_escape_sequences(capsys: Capture) -> None:
    show({}, Format.TABLE, [table(("A",), [("\x1b[31mred",)]), Text("\x1b[31msaid"), "\x1b[31mtold"])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert [word in out for word in ("red", "said", "told")] == [True] * 3
