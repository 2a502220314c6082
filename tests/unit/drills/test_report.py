"""The report of a drill: failures by time, its documented shape, and the verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from samovar.core.output import to_plain
from samovar.drills.alerts import DrillAlerts, Fired
from samovar.drills.recovery import Recovery
from samovar.drills.report import DrillReport, Observed, Verdict, count_failures, report, verdict
from samovar.load.client import Target
from samovar.load.generator import Load
from samovar.load.results import Outcome
from samovar.load.slo import answers_well, seconds_of_trouble
from samovar.project.drill import Drill
from samovar.project.load_profile import load_profile
from tests.support.checkout import ROOT

STABLE = load_profile(ROOT / "loads", "stable").with_path("/")
LOAD = Load(STABLE, (Target("http://127.66.2.1"),), 60, 900)
OUTCOMES = (Outcome("GET /", 0, 0, 0.1), Outcome("GET /", 1, 0, 2.0), Outcome("GET /", 2, 0, 5.0, "timeout"))


def stated(**expect: float) -> Drill:
    return Drill.model_validate({"name": "mine", "fault": "kill", "target": "bingo", "expect": expect})


def test_count_failures_by_when_they_were_due() -> None:
    at = [(1.0, 0.5), (9.9, 5.0), (10.1, 5.0), (10.9, 0.1), (12.0, 0.2)]
    outcomes = [Outcome("GET /", due, 0, took, "timeout") for due, took in at]
    outcomes.append(Outcome("GET /", 10.0, 0, 0.1))
    counts = count_failures(outcomes, began=10.0, time_to_detect=1.0)
    numbers = (counts.before, counts.in_flight, counts.before_detection, counts.after_detection)
    assert numbers == (1, 1, 2, 1)
    assert counts.by_kind == {"timeout": 5}
    unnoticed = count_failures(outcomes, began=10.0, time_to_detect=None)
    assert (unnoticed.before_detection, unnoticed.after_detection) == (3, 0)


def test_a_drills_report_has_a_documented_shape() -> None:
    recovery = Recovery(0.3, 7.123, healed_by=("balancer", "group"))
    observed = Observed(2.5, recovery, fired=Fired(frozenset({"EdgeErrors"})))
    drill = stated(seconds_to_recover=7, seconds_to_answer=5).model_copy(update={"alerts": ("MachineDown",)})
    assert to_plain(report("dev", drill, "dev-bingo-1: power cut", LOAD, OUTCOMES, observed)) == {
        "environment": "dev",
        "drill": "mine",
        "fault": "dev-bingo-1: power cut",
        "verdict": "broke",
        "addresses": ["http://127.66.2.1"],
        "profile": "stable",
        "rate": 60,
        "seconds_to_detect": 0.3,
        "seconds_to_recover": 7.12,
        "seconds_to_put_back": None,
        "seconds_to_answer": 4.5,
        "healed_by": ["balancer", "group"],
        "requests": 3,
        "failed": 1,
        "failed_before": 0,
        "failed_in_flight": 1,
        "failed_before_detection": 0,
        "failed_after_detection": 0,
        "failures": {"timeout": 1},
        "max_seconds": 2.0,
        "longest_gap_seconds": 4.0,
        "violations": ["seconds_to_recover: 7.12, expected 7 at most"],
        "alerts": {
            "fired": ["EdgeErrors"],
            "missing": ["MachineDown"],
            "unexpected": ["EdgeErrors"],
            "not_judged": [],
        },
    }


def measured(took: float = 0.1, failure: str = "", observed: Observed | None = None) -> DrillReport:
    outcomes = [Outcome("GET /", number / 2, 0, 0.1) for number in range(9)]
    outcomes.append(Outcome("GET /", 3.0, 0, took, failure))
    return report("dev", stated(), "it", LOAD, outcomes, observed or Observed(2.0, Recovery(0.5, 1.0)))


def test_a_drill_that_no_user_noticed_is_held() -> None:
    assert measured().verdict is Verdict.HELD


@pytest.mark.parametrize("noticed", [measured(took=1.5), measured(failure="timeout")])
def test_a_drill_that_users_noticed_within_its_bounds_is_degraded(noticed: DrillReport) -> None:
    assert noticed.verdict is Verdict.DEGRADED


@pytest.mark.parametrize(
    "observed", [Observed(2.0, Recovery(0.5, None)), Observed(2.0, Recovery(0.5, 1.0), answers_well=False)]
)
def test_an_environment_that_did_not_recover_has_the_verdict_broke(observed: Observed) -> None:
    assert measured(observed=observed).verdict is Verdict.BROKE


def test_a_bound_that_does_not_hold_makes_a_drill_broke() -> None:
    assert verdict(measured(), ["failed: 1, expected 0 at most"]) is Verdict.BROKE


@pytest.mark.parametrize("alerts", [DrillAlerts(missing=("MachineDown",)), DrillAlerts(unexpected=("EdgeErrors",))])
def test_a_drill_with_other_alerts_than_it_expects_is_degraded_at_best(alerts: DrillAlerts) -> None:
    assert verdict(replace(measured(), alerts=alerts), ()) is Verdict.DEGRADED
    assert verdict(replace(measured(), alerts=alerts), ["failed: 1, expected 0 at most"]) is Verdict.BROKE
    as_expected = replace(measured(), alerts=DrillAlerts(fired=("MachineDown",)))
    assert (verdict(as_expected, ()), measured().alerts) == (Verdict.HELD, None)


def test_requests_that_failed_before_the_fault_are_not_held_against_it() -> None:
    early = replace(measured(), failed=1, failed_before=1)
    assert verdict(early, ()) is Verdict.HELD


def test_answers_well_needs_recent_fast_answers_and_none_that_waits() -> None:
    outcomes = [Outcome("GET /", 1.0, 0, 0.1), Outcome("GET /", 5.0, 0, 1.5), Outcome("GET /a", 9.0, 0, 0.9)]
    assert not answers_well(outcomes, (), {"GET /"}, 7.0, 2.0), "one was slow"
    assert not answers_well(outcomes, (), {"GET /"}, 9.5, 2.0), "nothing came"
    outcomes.append(Outcome("GET /", 9.0, 0, 0.1))
    assert answers_well(outcomes, (), {"GET /"}, 9.5, 2.0)
    waiting = [("GET /", 8.0)]
    assert not answers_well(outcomes, waiting, {"GET /"}, 9.5, 2.0), "one waits"
    assert answers_well(outcomes, waiting, {"GET /a"}, 10.0, 2.0)
    assert seconds_of_trouble(outcomes, since=6.0) == 0.5
    assert seconds_of_trouble(outcomes, since=7.0) == 0
