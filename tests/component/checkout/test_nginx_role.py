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

pytestmark = pytest.mark.alone

LAST = 57
"""Seconds after which an answer of /long_dummy is served no more."""


@pytest.fixture(scope="module")
def image() -> Path:
    return edge_image()


def test_an_edge_without_settings_names_itself(image: Path) -> None:
    result = run_scenario(image, role.no_settings)
    assert result["page"] == [200, result["name"]]
    assert result["health"] == [200, "ok"]
    assert result["other"] == 404


def test_an_edge_passes_http_and_tls_to_the_balancer(image: Path) -> None:
    result = run_scenario(image, role.http_and_tls)
    assert [json.loads(result[way][1])[:2] for way in ("http", "tls")] == [["balancer", "http"], ["balancer", "https"]]
    assert result["health"] == [200, "ok"]
    assert (result["h2"], result["key"]) == ("2", "0o600")
    front, peer = result["logs"]
    assert sorted(line["scheme"] for line in front) == ["http", "https", "https"]
    assert {line["edge"] for line in front} == {result["http"][2]["x-edge"]}
    ids = {line["id"] for line in front}
    assert ids == {line["id"] for line in peer} == set(result["ids"])
    assert {result[way][2]["x-request-id"] for way in ("http", "tls")} < ids


@pytest.mark.parametrize("settings", [{}, SETTINGS])
def test_health_pages_are_for_health_checks_alone(image: Path, settings: dict[str, Any]) -> None:
    """Nor does anything below /-/ reach another edge or bingo."""
    result = run_scenario(image, role.health_pages, settings=settings)
    assert result["world"] == ["404"] * 24
    assert result["checks"] == ["200", "200", "404", "404"]
    assert result["seen"] == []


def test_a_new_certificate_is_served_without_a_restart(image: Path) -> None:
    result = run_scenario(image, role.new_certificate)
    assert result["same"]
    assert set(result["load"]) == {200}


def test_an_edge_bypasses_a_haproxy_that_got_nothing(image: Path) -> None:
    """A HAProxy that is frozen may have what it was sent; one that is not reached has nothing, so writes go on too."""
    result = run_scenario(image, role.unreachable_haproxy)
    assert [(status, headers["retry-after"]) for status, _, headers in result["frozen"]] == [(503, "2")] * 2
    assert result["unreachable"] == [200, 200]
    assert result["seen"] == ["balancer GET /ping", "balancer POST /operation"]


def test_a_rotated_log_is_continued(image: Path) -> None:
    assert run_scenario(image, role.rotated_log)["logs"] == [["/"], ["/other"]]


def test_a_balancer_that_acknowledges_nothing_is_given_up(image: Path) -> None:
    """It takes connections; what is sent over them is lost: packets longer than those of a handshake."""
    load = run_scenario(image, role.silent_balancer)["load"]
    assert {status for status, _, _ in load} == {200}
    assert max(seconds for _, _, seconds in load) < 8


def test_only_repeatable_requests_bypass_a_failing_balancer(image: Path) -> None:
    result = run_scenario(image, role.failing_balancer)
    assert json.loads(result["well"][1])[0] == "balancer"
    assert result["writes"] == [500, 500]
    assert result["written"] == ["balancer POST /operation", "balancer DELETE /api/session/1"]
    assert [answer[0] for answer in (result["get"], result["post"], *result["away"])] == [200] * 6
    assert {json.loads(answer[1])[0] for answer in result["away"]} == {"bingo-1", "bingo-2"}
    assert [answer[0] for answer in result["nobody"]] == [503, 503]
    assert all("retry-after" in answer[2] for answer in result["nobody"])
    assert result["seconds"] < 20


def test_an_edge_without_a_balancer_spreads_requests_over_machines(image: Path) -> None:
    assert set(run_scenario(image, role.no_balancer)["names"]) == {"bingo-1", "bingo-2"}


def test_long_dummy_is_fetched_one_at_a_time_and_never_older_than_a_minute(image: Path) -> None:
    """Takes more than a minute, which is the point: the second answer takes so long that the first one gets too old.

    nginx counts in whole seconds, so the old answer ends between 56 and 57 s: what was asked before 55 s cannot wait.
    """
    result = run_scenario(image, role.long_dummy)
    assert result["at_once"] == [[200] * 20, 1]
    assert result["fetched"] == 2
    assert {answer[2] for answer in result["answers"]} == {200}
    assert 50 < max(answer[3] for answer in result["answers"]) < 60
    early = [answer for answer in result["answers"] if answer[0] < 55]
    assert max(answer[1] for answer in early) < 5
    assert {answer[4]["x-cache"] for answer in early} >= {"HIT", "UPDATING"}
    assert max(answer[1] for answer in result["answers"]) > 3
    for _, _, _, age, headers in result["answers"]:
        assert abs(int(headers["age"]) - age) < 3
        assert headers["cache-control"] == "no-store"
    assert result["ping"] == 3
    assert result["others"]


def test_the_cache_is_kept_warm_without_clients(image: Path) -> None:
    """It takes longer than an answer is served, with a bingo as slow as it may be, and the only request comes last."""
    result = run_scenario(image, role.warm_without_clients)
    status, waited, age, stated_age = result["answer"]
    assert status == 200
    assert waited < 5
    assert max(age, stated_age) < 60
    assert len(result["fetches"]) >= 2
    for (_, first), (began, second) in pairwise(result["fetches"]):
        assert began >= first
        assert second - first < LAST
