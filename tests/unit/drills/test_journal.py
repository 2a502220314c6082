"""The journal of what is broken: it outlives a drill, and one drill at a time has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.drills.journal import Breakage, DrillRuns, Journal
from samovar.project.fault import FaultKind

HUNG = Breakage(FaultKind.HANG, "fhm1", "dev-bingo-1", {"unit": "bingo.service"})
RULES = Breakage(FaultKind.RULES, "enp1", "dev-bingo", {"port": 80, "rules": [{"id": "1"}]})


def test_a_journal_keeps_faults_until_all_are_put_back(tmp_path: Path) -> None:
    journal = Journal("b1g", "dev", tmp_path / "drills")
    assert journal.read() == ()
    journal.write([HUNG, RULES])
    assert Journal("b1g", "dev", tmp_path / "drills").read() == (HUNG, RULES)
    assert journal.in_words() == {"hang dev-bingo-1", "rules dev-bingo"}
    assert Journal("b1g", "prod", tmp_path / "drills").read() == ()
    journal.write([])
    assert journal.read() == ()
    assert not journal.path.exists()


def test_one_drill_of_an_environment_runs_at_a_time(tmp_path: Path) -> None:
    with Journal("b1g", "dev", tmp_path).locked():
        with pytest.raises(DrillRuns, match="another drill of dev runs"), Journal("b1g", "dev", tmp_path).locked():
            pass
        with Journal("b1g", "prod", tmp_path).locked():
            pass
