"""The tables of docs/drills.md, as `make drills` writes them: some rows are renewed, and the others stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.drills.pictures import COLUMNS
from samovar.project.drill import drill_names, load_drill
from tests.support.checkout import ROOT
from tools import drills

FOLDER = ROOT / "drills"


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the page, into which the tool writes."""
    copy = tmp_path / "drills.md"
    copy.write_text((ROOT / "docs/drills.md").read_text())
    monkeypatch.setattr(drills, "PAGE", copy)
    return copy


def result(name: str, alerts: str) -> tuple[str, ...]:
    return (name, *["held"] * (len(COLUMNS) - 2), alerts)


def test_rows_that_were_written_are_read_again(page: Path) -> None:
    failed = ("c", "not run", *[""] * (len(COLUMNS) - 2))
    rows = {"b": result("b", "MachineDown, EdgeErrors (unexpected)"), "a": result("a", "none"), "c": failed}
    drills.write_tables(rows)
    assert drills.measured(page.read_text()) == rows
    drills.write_tables({**rows, "a": result("a", "EdgeErrors")})
    text = page.read_text()
    assert "| b | fired | unexpected |" in text
    assert text.index("| a | held") < text.index("| b | held")


def test_the_matrix_shows_the_right_and_wrong_alerts_of_each_drill_that_ran() -> None:
    rows = {
        "power": result("power", "EdgeErrors (unexpected), MachineDown"),
        "crash": result("crash", "ServiceRestarted (missing)"),
        "again": result("again", "ServiceRestarted (fired before)"),
        "quiet": result("quiet", "none"),
        "unknown": result("unknown", "not known"),
        "away": ("away", "not run", *[""] * (len(COLUMNS) - 2)),
    }
    lines = drills.matrix(rows, {"crash": ["MachineDown"], "away": ["MachineDown"]}).splitlines()
    assert lines[:5] == [
        "| drill | MachineDown | EdgeErrors | ServiceRestarted |",
        "| --- | --- | --- | --- |",
        "| again |  |  | fired before |",
        "| crash | possible |  | missing |",
        "| power | fired | unexpected |  |",
    ]
    assert lines[5] == ""
    assert lines[6].startswith("In none of them: `GroupShort`, `ExporterDown`, ")


def test_drills_that_begin_alike_are_run_apart() -> None:
    assert drills.spread(["a-1", "a-2", "b-1", "c", "a-3", "b-2"]) == ["a-1", "b-1", "c", "a-2", "b-2", "a-3"]


@pytest.mark.parametrize("name", drill_names(FOLDER))
def test_each_drill_states_its_alerts_by_the_names_that_the_rules_have(name: str) -> None:
    drill = load_drill(FOLDER, name)
    assert drill.alerts is not None
    stated = [*drill.alerts, *drill.possible_alerts]
    assert {*stated} <= {*drills.alerts()}
    assert len(stated) == len({*stated})


def test_every_alert_of_the_rules_has_a_row() -> None:
    assert {"MachineDown", "ObjectiveBurns", "ServiceRestarted"} <= {*drills.alerts()}


def test_one_more_line_monitors_dev(tmp_path: Path) -> None:
    text = (drills.monitored_dev(tmp_path / "envs") / "dev/config.yaml").read_text()
    assert "\n  monitoring: {kind: samovar/monitoring" in text
