"""The program starts itself again."""

from __future__ import annotations

from pathlib import Path

from samovar.core.process import run
from samovar.core.spawn import module_command, module_environment


def test_a_module_of_this_program_runs_wherever_the_working_directory_is(tmp_path: Path) -> None:
    (tmp_path / "samovar").mkdir()
    (tmp_path / "samovar/__main__.py").write_text("raise SystemExit('the wrong package')")
    shown = run(module_command("samovar", "--version"), env=module_environment(), cwd=tmp_path).stdout
    assert "samovar" in shown
