"""Drills: to an environment's own addresses alone, with failures told apart and a recovery that has to last."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from samovar.core.errors import CloudError, ConfigError
from samovar.core.waiting import Pending
from samovar.deploy.status import GroupStatus, MachineStatus, Status
from samovar.drills.faults import chosen
from samovar.drills.recovery import HOLD, Look, Recovery, _Steady
from samovar.drills.run import DrillReport, failures
from samovar.load.client import Target
from samovar.load.generator import Load, Run
from samovar.load.html_report import write_page
from samovar.load.report import Report
from samovar.load.results import Outcome
from samovar.load.service_health import answers_well, trouble
from samovar.load.slo import TERMS, profile
from samovar.load.target import own_addresses, path_of

HERE = Status("dev", (), (("http", "http://127.66.2.1/"), ("https", "https://127.66.2.1/")))


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
def test_load_goes_to_nobody_elses_address(url: str) -> None:
    with pytest.raises(ConfigError, match="no address of dev"):
        own_addresses(HERE, [url])


def test_load_goes_to_no_address_that_leads_to_another_cloud() -> None:
    elsewhere = replace(HERE, unanswered=(("http://127.66.2.1/", "is not routed to this cloud"),))
    with pytest.raises(CloudError, match=r"http://127\.66\.2\.1/ is not routed to this cloud"):
        own_addresses(elsewhere, ())


def test_its_own_addresses_are_the_default_and_may_have_a_path() -> None:
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


def test_a_target_is_a_group_or_a_machine_of_it() -> None:
    status = Status("dev", (BINGOS,))
    assert chosen(status, "bingo") == ("dev-bingo-1",)
    assert chosen(status, "bingo", all_of_it=True) == ("dev-bingo-1", "dev-bingo-2")
    assert chosen(status, "bingo-2") == chosen(status, "dev-bingo-2") == ("dev-bingo-2",)
    with pytest.raises(ConfigError, match="no group or machine bingo-3") as error:
        chosen(status, "bingo-3")
    assert error.value.remedy == "there are bingo, dev-bingo-1, dev-bingo-2"


def test_failures_are_told_apart_by_when_they_were_due() -> None:
    at = [(1.0, 0.5), (9.9, 5.0), (10.1, 5.0), (10.9, 0.1), (12.0, 0.2)]
    outcomes = [Outcome("GET /", due, 0, took, "timeout") for due, took in at]
    found = failures([*outcomes, Outcome("GET /", 10.0, 0, 0.1)], broke=10.0, noticed=1.0)
    assert (found.before, found.in_flight, found.unnoticed, found.later) == (1, 1, 2, 1)
    assert found.by_kind == {"timeout": 5}


def test_a_drills_report_has_a_documented_shape() -> None:
    load = Load(profile("stable"), (Target("http://127.66.2.1"),), 60, 900)
    outcomes = (Outcome("GET /", 0, 0, 0.1), Outcome("GET /", 1, 0, 2.0), Outcome("GET /", 2, 0, 5.0, "timeout"))
    found = DrillReport("dev", "dev-bingo-1 lost power", load, 2.5, Recovery(0.3, 7.123), outcomes).to_json()
    assert found == {
        "environment": "dev",
        "broken": "dev-bingo-1 lost power",
        "addresses": ["http://127.66.2.1"],
        "profile": "stable",
        "rate": 60,
        "seconds_until_noticed": 0.3,
        "seconds_until_whole": 7.12,
        "seconds_until_answered": 4.5,
        "requests": 3,
        "failed": 1,
        "failed_before": 0,
        "failed_in_flight": 1,
        "failed_until_noticed": 0,
        "failed_later": 0,
        "failures": {"timeout": 1},
        "worst_seconds": 2.0,
        "longest_gap_seconds": 4.0,
    }


def test_it_answers_well_once_nobody_fails_or_waits() -> None:
    run = Run(outcomes=[Outcome("GET /", 1.0, 0, 0.1), Outcome("GET /", 5.0, 0, 1.5), Outcome("GET /a", 9.0, 0, 0.9)])
    assert not answers_well(run, {"GET /"}, 7.0, 2.0), "one was slow"
    assert not answers_well(run, {"GET /"}, 9.5, 2.0), "nothing came"
    run.outcomes.append(Outcome("GET /", 9.0, 0, 0.1))
    assert answers_well(run, {"GET /"}, 9.5, 2.0)
    run.waiting[1] = ("GET /", 8.0)
    assert not answers_well(run, {"GET /"}, 9.5, 2.0), "one waits"
    assert answers_well(run, {"GET /a"}, 10.0, 2.0)
    assert trouble(run.outcomes, broke=6.0) == 0.5
    assert trouble(run.outcomes, broke=7.0) == 0


def look(*pids: int, whole: bool = True) -> Look:
    return Look(whole, frozenset(("dev-bingo-1", pid) for pid in pids), "as it is")


def test_what_starts_and_ends_at_once_is_not_whole() -> None:
    steady = _Steady(look(7))
    assert isinstance(steady.see(look(7), 0.0), Pending)
    assert isinstance(steady.see(look(8), 1.0), Pending)
    assert isinstance(steady.see(look(9), 1.0 + HOLD), Pending)
    assert isinstance(steady.see(look(9, whole=False), 2.0 + HOLD), Pending)
    assert isinstance(steady.see(look(9), 3.0 + HOLD), Pending)
    assert steady.see(look(9), 3.0 + 2 * HOLD) == 3.0 + HOLD


def test_a_report_is_one_page_that_needs_nothing_else(tmp_path: Path) -> None:
    outcomes = tuple(
        Outcome(endpoint.name, number / 10, 0, 0.05 * number, "HTTP 500" if number == 7 else "")
        for endpoint in TERMS.endpoints
        for number in range(20)
    )
    page = write_page(Report("dev", Load(TERMS, (), 120, 2), 2.0, outcomes), tmp_path / "made")
    text = page.read_text()
    assert all(endpoint.name in text for endpoint in TERMS.endpoints)
    assert text.count("<svg") == 2 * (1 + len(TERMS.endpoints))
    assert "do not hold" in text
    assert not [word for word in ("http://", "https://", "<script", "<link", "@import") if word in text]
