"""Drills and load targets: own addresses alone, failures by time, a recovery that must last."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from samovar.core.errors import CloudError, ConfigError
from samovar.core.output import to_plain
from samovar.core.waiting import Pending
from samovar.deploy.status import Endpoints, GroupStatus, MachineStatus, Status, Unanswered
from samovar.drills.faults import select_machines
from samovar.drills.recovery import STABLE_SECONDS, Recovery, Snapshot, Stability
from samovar.drills.run import Observed, count_failures, report
from samovar.load.client import Target
from samovar.load.generator import Load, Run
from samovar.load.report import report as load_report
from samovar.load.report import write_page
from samovar.load.results import Outcome
from samovar.load.slo import answers_well, seconds_of_trouble
from samovar.load.target import own_addresses, path_of
from samovar.project.drill import Expectation
from samovar.project.load_profile import load_profile
from tests.support.checkout import ROOT

TERMS = load_profile(ROOT / "loads", "terms")
STABLE = load_profile(ROOT / "loads", "stable").with_path("/")
HERE = Status("dev", (), Endpoints(http=("http://127.66.2.1/",), https=("https://127.66.2.1/",)))


def machine(name: str) -> MachineStatus:
    return MachineStatus(name, "ru-central1-a", "10.0.0.1", "RUNNING_ACTUAL", "image", "HEALTHY")


BINGOS = GroupStatus("bingo", 2, "image", (machine("dev-bingo-1"), machine("dev-bingo-2")))


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://127.66.2.10/",
        "http://127.66.2.1.example.org/",
        "http://127.66.2.1:81/",
        "http://127.66.2.1@10.0.0.1/",
        "https://127.66.2.1:80/",
        "ftp://127.66.2.1/",
    ],
)
def test_own_addresses_rejects_any_other_address(url: str) -> None:
    with pytest.raises(ConfigError, match="no address of dev"):
        own_addresses(HERE, [url])


def test_own_addresses_rejects_one_that_leads_to_another_cloud() -> None:
    elsewhere = replace(HERE, unanswered=(Unanswered("http://127.66.2.1/", "is not routed to this cloud"),))
    with pytest.raises(CloudError, match=r"http://127\.66\.2\.1/ is not routed to this cloud"):
        own_addresses(elsewhere, ())


def test_own_addresses_are_the_default_and_may_have_a_path() -> None:
    assert own_addresses(HERE, ()) == ("http://127.66.2.1/", "https://127.66.2.1/")
    assert own_addresses(HERE, (), secure_only=True) == ("https://127.66.2.1/",)
    page = own_addresses(HERE, ["https://127.66.2.1/long_dummy"])
    assert path_of(page) == "/long_dummy"
    with pytest.raises(ConfigError, match="no address to send to"):
        own_addresses(Status("dev", ()), ())
    with pytest.raises(ConfigError, match="https alone"):
        own_addresses(HERE, ["http://127.66.2.1/"], secure_only=True)
    with pytest.raises(ConfigError, match="one path"):
        path_of(["http://127.66.2.1/a", "https://127.66.2.1/b"])


def test_select_machines_takes_a_group_or_a_machine() -> None:
    status = Status("dev", (BINGOS,))
    assert select_machines(status, "bingo") == ("dev-bingo-1",)
    assert select_machines(status, "bingo", all_machines=True) == ("dev-bingo-1", "dev-bingo-2")
    assert select_machines(status, "bingo-2") == select_machines(status, "dev-bingo-2") == ("dev-bingo-2",)
    with pytest.raises(ConfigError, match="no group or machine bingo-3") as error:
        select_machines(status, "bingo-3")
    assert error.value.remedy == "there are bingo, dev-bingo-1, dev-bingo-2"


def test_count_failures_by_when_they_were_due() -> None:
    at = [(1.0, 0.5), (9.9, 5.0), (10.1, 5.0), (10.9, 0.1), (12.0, 0.2)]
    outcomes = [Outcome("GET /", due, 0, took, "timeout") for due, took in at]
    counts = count_failures([*outcomes, Outcome("GET /", 10.0, 0, 0.1)], began=10.0, time_to_detect=1.0)
    numbers = (counts.before, counts.in_flight, counts.before_detection, counts.after_detection)
    assert numbers == (1, 1, 2, 1)
    assert counts.by_kind == {"timeout": 5}


def test_a_drills_report_has_a_documented_shape() -> None:
    load = Load(STABLE, (Target("http://127.66.2.1"),), 60, 900)
    outcomes = (Outcome("GET /", 0, 0, 0.1), Outcome("GET /", 1, 0, 2.0), Outcome("GET /", 2, 0, 5.0, "timeout"))
    expected = Expectation(seconds_to_recover=7, seconds_to_answer=5)
    observed = Observed(2.5, Recovery(0.3, 7.123))
    assert to_plain(report("dev", "dev-bingo-1 lost power", load, outcomes, observed, expected)) == {
        "environment": "dev",
        "fault": "dev-bingo-1 lost power",
        "addresses": ["http://127.66.2.1"],
        "profile": "stable",
        "rate": 60,
        "seconds_to_detect": 0.3,
        "seconds_to_recover": 7.12,
        "seconds_to_answer": 4.5,
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
    }


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


def snapshot(*pids: int, healthy: bool = True) -> Snapshot:
    return Snapshot(healthy, frozenset(("dev-bingo-1", pid) for pid in pids), "as it is")


def test_stability_needs_new_processes_that_stay() -> None:
    stability = Stability(snapshot(7))
    assert isinstance(stability.check(snapshot(7), 0.0), Pending)
    assert isinstance(stability.check(snapshot(8), 1.0), Pending)
    assert isinstance(stability.check(snapshot(9), 1.0 + STABLE_SECONDS), Pending)
    assert isinstance(stability.check(snapshot(9, healthy=False), 2.0 + STABLE_SECONDS), Pending)
    assert isinstance(stability.check(snapshot(9), 3.0 + STABLE_SECONDS), Pending)
    assert stability.check(snapshot(9), 3.0 + 2 * STABLE_SECONDS) == 3.0 + STABLE_SECONDS


def test_write_page_writes_one_page_that_needs_nothing_else(tmp_path: Path) -> None:
    outcomes = tuple(
        Outcome(endpoint.request, number / 10, 0, 0.05 * number, "HTTP 500" if number == 7 else "")
        for endpoint in TERMS.endpoints
        for number in range(20)
    )
    run = Run(ended=2.0, outcomes=list(outcomes))
    page = write_page(load_report("dev", Load(TERMS, (), 120, 2), run), outcomes, tmp_path / "made")
    text = page.read_text()
    assert all(endpoint.request in text for endpoint in TERMS.endpoints)
    assert text.count("<svg") == 2 * (1 + len(TERMS.endpoints))
    assert "not met" in text
    assert not [word for word in ("http://", "https://", "<script", "<link", "@import") if word in text]
