"""The command `logs` says where there is nothing to show."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from samovar.cli.context import Tool
from samovar.cli.logs import logs
from samovar.ops import journals
from tests.support.checkout import environment
from tools.drills import monitored_dev


@pytest.mark.parametrize("lines", [["a line"], []])
def test_a_journal_without_entries_is_hinted_at(
    lines: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = environment("dev", monitored_dev(tmp_path / "envs"))
    monkeypatch.setattr(Tool, "environment", lambda *_: dev)
    monkeypatch.setattr(Tool, "session_of", lambda *_: SimpleNamespace())
    monkeypatch.setattr(journals, "entries", lambda *_: iter(lines))
    shown = CliRunner().invoke(logs, ["dev", "--since", "1m"], obj=Tool(tmp_path))
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == lines
    hinted = [words in shown.stderr for words in ("JournalNotSent", "logs dev MACHINE --console")]
    assert hinted == [not lines] * 2


@pytest.mark.parametrize("options", [["--follow"], ["--unit", "nginx", "--console"]])
def test_options_of_journals_are_not_ignored_in_silence_where_a_console_is_shown(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tool, "environment", lambda *_: environment("dev"))
    monkeypatch.setattr(Tool, "session_of", lambda *_: SimpleNamespace())
    monkeypatch.setattr("samovar.deploy.machines.find_machine", lambda *_: SimpleNamespace(id="a"))
    monkeypatch.setattr("samovar.deploy.console.read_console", lambda *_: "a line\n")
    shown = CliRunner().invoke(logs, ["dev", "nginx-1", *options], obj=Tool(tmp_path))
    assert (shown.exit_code, shown.stdout) == (0, "a line\n")
    assert "--unit and --follow are for journals" in shown.stderr
