"""The report of a load: a page with charts that needs nothing else, whole intervals, and what was not asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from samovar.load.generator import Load, Run
from samovar.load.report import charts, intervals, report, write_page
from samovar.load.results import Outcome
from samovar.project.load_profile import load_profile
from tests.support.checkout import ROOT

TERMS = load_profile(ROOT / "loads", "terms")
OUTCOMES = [
    Outcome(endpoint.request, number / 10, 0, 0.05 * number, "HTTP 500" if number == 7 else "")
    for endpoint in TERMS.endpoints
    for number in range(20)
]


def test_write_page_writes_one_page_that_needs_nothing_else(tmp_path: Path) -> None:
    run = Run(ended=2.0, outcomes=OUTCOMES)
    text = write_page(report("dev", Load(TERMS, (), 120, 2), run), OUTCOMES, tmp_path / "made").read_text()
    assert all(endpoint.request in text for endpoint in TERMS.endpoints)
    assert text.count("<svg") == 2 * (1 + len(TERMS.endpoints))
    assert all(word in text for word in ("not met", "milliseconds", "requests/s", "seconds of the load"))
    assert not re.search(r"<script|<link|@import|(src|href)=.?http", text)


def test_endpoints_without_requests_are_not_judged(tmp_path: Path) -> None:
    asked = [outcome for outcome in OUTCOMES if outcome.endpoint == "POST /api/session" and not outcome.failure]
    result = report("dev", Load(TERMS, (), 120, 2), Run(ended=2.0, outcomes=asked))
    assert result.slo_met
    assert [figures.slo_met for figures in result.endpoints if figures.sent == 0] == [None] * (len(TERMS.endpoints) - 1)
    assert "not judged" in write_page(result, asked, tmp_path).read_text()
    assert len(list(charts(result, asked))) == 4


def test_a_load_without_a_request_meets_nothing() -> None:
    assert not report("dev", Load(TERMS, (), 120, 2), Run(ended=2.0)).slo_met


@pytest.mark.parametrize(("seconds", "number"), [(10.0, 10), (10.5, 10), (10.999, 10), (0.5, 1), (240.0, 120)])
def test_a_last_interval_that_is_not_full_is_left_out(seconds: float, number: int) -> None:
    outcomes = [Outcome("GET /", due / 10, 0, 0.1) for due in range(int(seconds * 10))]
    parts = intervals(outcomes, seconds)
    assert len(parts) == number
    assert all(part.sent == pytest.approx(part.length * 10, abs=1) for part in parts)
