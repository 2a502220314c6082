"""One of several edges does the work: HAProxy and nginx of the image, and peers with network stacks of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.edge import edge_image, run_scenario
from tests.support.edge_scenarios import peers

pytestmark = pytest.mark.alone

NOTICED = 2.0
"""Seconds within which a dead peer is given up."""
BUSY = 3.0
"""Seconds more that a busy host may take for anything."""


@pytest.fixture(scope="module")
def image() -> Path:
    return edge_image()


def failed(answers: list[list[Any]]) -> list[list[Any]]:
    return [answer for answer in answers if answer[0] != 200]


def test_a_dead_peer_fails_no_repeatable_request_and_works_again_later(image: Path) -> None:
    result = run_scenario(image, peers.dead_peer)
    assert result["read"] == [200, "nginx-2"]
    assert result["written"] == 502
    assert "POST /slow" not in result["seen"]
    assert result["seconds"] < 1 + NOTICED + 3 + BUSY
    assert failed(result["load"]) == []
    assert [status for status, _, _ in failed(result["writes"])] in ([], [502])
    assert {body for _, body, _ in result["load"]} >= {"nginx-1", "nginx-2"}
    assert max(seconds for _, _, seconds in result["load"]) < NOTICED + BUSY


def test_a_reload_while_a_peer_dies_fails_no_request(image: Path) -> None:
    """The checks of a HAProxy that was reloaded have ended: what it holds has to find another peer by itself."""
    result = run_scenario(image, peers.reload_while_a_peer_dies)
    assert failed(result["load"]) == []
    assert [status for status, _, _ in failed(result["writes"])] in ([], [502])
    assert max(seconds for _, _, seconds in result["load"]) < NOTICED + BUSY


def test_a_reload_while_every_peer_refuses_fails_no_request(image: Path) -> None:
    """Tries that are refused take no time: what is held has to come to this edge itself before they are spent."""
    load = run_scenario(image, peers.reload_while_peers_refuse)["load"]
    assert failed(load) == []


def test_a_peer_that_acknowledges_nothing_is_given_up(image: Path) -> None:
    """A peer that dies between the handshake and the request: nothing is idle, so keepalive never asks."""
    load = run_scenario(image, peers.unacknowledged_data)["load"]
    assert failed(load) == []
    assert max(seconds for _, _, seconds in load) < 2 * NOTICED + BUSY


def test_a_frozen_peer_is_given_up_and_writes_go_to_the_next(image: Path) -> None:
    result = run_scenario(image, peers.frozen_peer)
    assert result["post"] == [200, "nginx-2"]
    assert result["seconds"] < NOTICED + 1 + BUSY


def test_a_leaving_peer_finishes_its_requests_and_gets_no_new_ones(image: Path) -> None:
    result = run_scenario(image, peers.leaving_peer)
    assert result["new"] == []
    assert result["slow"] == [[200, "nginx-1"]] * 2
    assert failed(result["load"]) == []


def test_an_edge_without_peers_works_itself_even_without_haproxy(image: Path) -> None:
    result = run_scenario(image, peers.no_peers)
    assert failed(result["load"]) == []
    assert result["alone"] == [200, 200]


def test_a_new_peer_drops_no_connection(image: Path) -> None:
    result = run_scenario(image, peers.new_peers)
    assert result["slow"] == [[200, "nginx-1"]] * 2
    assert failed(result["load"]) == []


def test_the_peer_port_opens_for_peers_alone_once_the_edge_can_work(image: Path) -> None:
    result = run_scenario(image, peers.peer_port)
    assert result["before"] == result["warming"] == ["Connection refused", "7"]
    assert result["ended"] == 0
    assert result["after"] == ["open", "ok", "7"]


def test_only_the_working_edge_keeps_its_cache_warm(image: Path) -> None:
    assert run_scenario(image, peers.warm_working_edge)["spared"]
