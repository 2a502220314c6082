"""The edge's role by the very nginx and HAProxy of its image: what a client of one edge sees, and what bingo."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.edge import edge_image, run_scenario
from tests.support.edge_lab import SETTINGS
from tests.support.edge_scenarios import role

LAST = 57
"""Seconds after which an answer of /long_dummy is served no more."""


@pytest.fixture(scope="module")
def image() -> Path:
    return edge_image()


def test_an_edge_without_settings_names_itself(image: Path) -> None:
    seen = run_scenario(image, role.no_settings)
    assert seen["page"] == [200, seen["name"]]
    assert seen["health"] == [200, "ok"]
    assert seen["other"] == 404


def test_an_edge_passes_http_and_tls_to_the_balancer(image: Path) -> None:
    seen = run_scenario(image, role.http_and_tls)
    assert [json.loads(seen[way][1])[:2] for way in ("http", "tls")] == [["balancer", "http"], ["balancer", "https"]]
    assert seen["health"] == [200, "ok"]
    assert (seen["h2"], seen["key"]) == ("2", "0o600")
    front, peer = seen["logs"]
    assert sorted(line["scheme"] for line in front) == ["http", "https", "https"]
    assert {line["edge"] for line in front} == {seen["http"][2]["x-edge"]}
    told = {line["id"] for line in front}
    assert told == {line["id"] for line in peer} == set(seen["ids"])
    assert {seen[way][2]["x-request-id"] for way in ("http", "tls")} < told


@pytest.mark.parametrize("settings", [{}, SETTINGS])
def test_health_pages_are_for_health_checks_alone(image: Path, settings: dict[str, Any]) -> None:
    """Nor does anything below /-/ reach another edge or bingo."""
    seen = run_scenario(image, role.health_pages, settings=settings)
    assert seen["world"] == ["404"] * 24
    assert seen["checks"] == ["200", "200", "404", "404"]
    assert seen["seen"] == []


def test_a_new_certificate_is_served_without_a_restart(image: Path) -> None:
    seen = run_scenario(image, role.new_certificate)
    assert seen["same"]
    assert set(seen["load"]) == {200}


def test_an_edge_bypasses_a_haproxy_that_got_nothing(image: Path) -> None:
    """A HAProxy that is frozen may have what it was sent; one that is not reached has nothing, so writes go on too."""
    seen = run_scenario(image, role.unreachable_haproxy)
    assert [(status, headers["retry-after"]) for status, _, headers in seen["frozen"]] == [(503, "2")] * 2
    assert seen["unreachable"] == [200, 200]
    assert seen["seen"] == ["balancer GET /ping", "balancer POST /operation"]


def test_a_rotated_log_is_continued(image: Path) -> None:
    assert run_scenario(image, role.rotated_log)["logs"] == [["/"], ["/other"]]


def test_a_balancer_that_acknowledges_nothing_is_given_up(image: Path) -> None:
    """It takes connections; what is sent over them is lost: packets longer than those of a handshake."""
    load = run_scenario(image, role.silent_balancer)["load"]
    assert {status for status, _, _ in load} == {200}
    assert max(seconds for _, _, seconds in load) < 8


def test_only_repeatable_requests_bypass_a_failing_balancer(image: Path) -> None:
    seen = run_scenario(image, role.failing_balancer)
    assert json.loads(seen["well"][1])[0] == "balancer"
    assert seen["writes"] == [500, 500]
    assert seen["written"] == ["balancer POST /operation", "balancer DELETE /api/session/1"]
    assert [answer[0] for answer in (seen["get"], seen["post"], *seen["away"])] == [200] * 6
    assert {json.loads(answer[1])[0] for answer in seen["away"]} == {"bingo-1", "bingo-2"}
    assert [answer[0] for answer in seen["nobody"]] == [503, 503]
    assert all("retry-after" in answer[2] for answer in seen["nobody"])
    assert seen["seconds"] < 20


def test_an_edge_without_a_balancer_spreads_requests_over_machines(image: Path) -> None:
    assert set(run_scenario(image, role.no_balancer)["names"]) == {"bingo-1", "bingo-2"}


def test_long_dummy_is_fetched_one_at_a_time_and_never_older_than_a_minute(image: Path) -> None:
    """Takes more than a minute, which is the point: the second answer takes so long that the first one gets too old.

    nginx counts in whole seconds, so the old answer ends between 56 and 57 s: what was asked before 55 s cannot wait.
    """
    seen = run_scenario(image, role.long_dummy)
    assert seen["at_once"] == [[200] * 20, 1]
    assert seen["fetched"] == 2
    assert {answer[2] for answer in seen["answers"]} == {200}
    assert 50 < max(answer[3] for answer in seen["answers"]) < 60
    early = [answer for answer in seen["answers"] if answer[0] < 55]
    assert max(answer[1] for answer in early) < 5
    assert {answer[4]["x-cache"] for answer in early} >= {"HIT", "UPDATING"}
    assert max(answer[1] for answer in seen["answers"]) > 3
    for _, _, _, age, headers in seen["answers"]:
        assert abs(int(headers["age"]) - age) < 3
        assert headers["cache-control"] == "no-store"
    assert seen["ping"] == 3
    assert seen["others"]


def test_the_cache_stays_warm_without_clients(image: Path) -> None:
    """For longer than an answer is served, with a bingo as slow as it may be; asked for at the end alone."""
    seen = run_scenario(image, role.warm_without_clients)
    status, waited, age, told = seen["answer"]
    assert status == 200
    assert waited < 5
    assert max(age, told) < 60
    assert len(seen["fetches"]) >= 2
    for (_, first), (began, second) in pairwise(seen["fetches"]):
        assert began >= first
        assert second - first < LAST
