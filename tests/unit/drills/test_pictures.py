"""Drills for people: rows, and a page with a picture each."""

from __future__ import annotations

from pathlib import Path

from samovar.drills.alerts import DrillAlerts
from samovar.drills.pictures import COLUMNS, alerts_cell, marks, row, write_report
from samovar.drills.recovery import Recovery
from samovar.drills.report import NotRun, Observed, report
from samovar.drills.run import Drilled
from samovar.load.client import Target
from samovar.load.generator import Load
from samovar.load.results import Outcome
from samovar.project.drill import Drill
from samovar.project.load_profile import load_profile
from tests.support.checkout import ROOT

OUTCOMES = tuple(Outcome("GET /", number / 10, 0, 0.05, "HTTP 500" if 30 < number < 35 else "") for number in range(90))
LOAD = Load(load_profile(ROOT / "loads", "stable").with_path("/"), (Target("http://127.66.2.1"),), 10, 900)
OBSERVED = Observed(3.0, Recovery(0.5, 3.5, 3.0, ("drill",)))
MINE = Drill.model_validate({"name": "mine", "fault": "drain", "target": "bingo"})
DRILLED = Drilled(report("dev", MINE, "dev-bingo-1: drain", LOAD, OUTCOMES, OBSERVED), OUTCOMES, 3.0)


def test_a_row_shows_verdict_failures_and_times() -> None:
    shown = dict(zip(COLUMNS, row(DRILLED.report), strict=True))
    assert shown["verdict"] == "degraded"
    assert shown["failed"] == "4 of 90 (4 HTTP 500)"
    assert shown["alerts"] == "not known"
    assert (shown["noticed"], shown["whole"], shown["healed by"]) == ("0.5 s", "3.5 s", "drill")


def test_a_row_has_the_alerts_with_what_is_wrong_about_each() -> None:
    wrong = DrillAlerts(("EdgeErrors", "MachineDown"), ("DiskNearlyFull",), ("EdgeErrors",), ("ServiceRestarted",))
    assert alerts_cell(wrong) == (
        "DiskNearlyFull (missing), EdgeErrors (unexpected), MachineDown, ServiceRestarted (fired before)"
    )
    assert alerts_cell(DrillAlerts()) == "none"


def test_the_moments_of_the_fault_are_marked_in_seconds_of_the_load() -> None:
    assert [(mark.name, mark.second) for mark in marks(DRILLED)] == [
        ("fault", 3.0),
        ("noticed", 3.5),
        ("put back", 6.0),
        ("whole", 6.5),
    ]


def test_a_report_is_a_page_and_one_picture_a_drill(tmp_path: Path) -> None:
    page = write_report("dev", [DRILLED], [NotRun("delay", "not on this host")], tmp_path / "made")
    picture = (tmp_path / "made/drill-dev-mine.svg").read_text()
    for text in (page.read_text(), picture):
        assert all(word in text for word in ("mine, degraded", "milliseconds", "requests/s", "put back"))
        assert "<script" not in text
    assert "delay was not run: not on this host" in page.read_text()
