"""The tables of docs/drills.md, as `make drills` writes them: some rows are renewed, and the others stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from samovar.drills.pictures import COLUMNS
from tests.support.checkout import ROOT
from tools import drills


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the page, into which the tool writes."""
    copy = tmp_path / "drills.md"
    copy.write_text((ROOT / "docs/drills.md").read_text())
    monkeypatch.setattr(drills, "PAGE", copy)
    return copy


def result(name: str, alerts: str) -> tuple[str, ...]:
    return (name, *["held"] * (len(COLUMNS) - 1), alerts)


def test_rows_that_were_written_are_read_again(page: Path) -> None:
    failed = ("c", "not run", *[""] * (len(COLUMNS) - 1))
    rows = {"b": result("b", "MachineDown, EdgeErrors"), "a": result("a", ""), "c": failed}
    drills.write_tables(rows)
    assert drills.measured(page.read_text()) == rows
    drills.write_tables({**rows, "a": result("a", "EdgeErrors")})
    text = page.read_text()
    assert "| `EdgeErrors` | a, b |" in text
    assert "| `DiskNearlyFull` | in none |" in text
    assert text.index("| a | held") < text.index("| b | held")


def test_every_alert_of_the_rules_has_a_row() -> None:
    assert {"MachineDown", "ObjectiveBurns", "ServiceRestarted"} <= {*drills.alerts()}


def test_dev_is_monitored_by_one_line_more(tmp_path: Path) -> None:
    text = (drills.monitored_dev(tmp_path / "envs") / "dev/config.yaml").read_text()
    assert "\n  monitoring: {kind: samovar/monitoring" in text
