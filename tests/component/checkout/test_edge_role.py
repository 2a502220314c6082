"""The edge's role by the very nginx and HAProxy of its image: what a client of one edge sees, and what bingo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.edge import edge_image, run_scenario
from tests.support.edge_lab import SETTINGS
from tests.support.edge_scenarios import role

pytestmark = pytest.mark.alone


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
