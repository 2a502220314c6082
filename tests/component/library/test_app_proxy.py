"""The proxy of an application, run by the HAProxy of its image: another machine answers while its own does not."""

from __future__ import annotations

from typing import Any

import pytest

from samovar.agent.inputs import Peer
from tests.support.edge import baked_image, run_scenario
from tests.support.edge_scenarios import app_machines as scenario
from tests.support.roles import MACHINE, rendered

SETTINGS = "{port: 3000, health: /healthz}"
PROXY = "/etc/haproxy/haproxy.cfg"


@pytest.fixture(scope="module")
def seen() -> Any:
    first, second = configuration("second", scenario.SECOND), configuration("first", scenario.FIRST)
    return run_scenario(baked_image("samovar-app"), scenario.failures, first=first, second=second)


def configuration(other: str, address: str) -> str:
    """Return the configuration of a machine that has one other machine in its group."""
    peers = (Peer("own", MACHINE.address), Peer(other, address))
    return rendered("samovar-app", SETTINGS, peers=peers)[PROXY]


@pytest.mark.parametrize("what", ["reads", "writes", "sick"])
def test_another_machine_answers_for_an_application_that_is_away_or_answers_errors(seen: Any, what: str) -> None:
    assert seen[what] == [[200, "second"]]


def test_a_write_whose_answer_is_lost_is_not_repeated(seen: Any) -> None:
    assert seen["lost"][0] == 502


def test_tries_after_an_answer_of_500_have_a_pause_between_them(seen: Any) -> None:
    status, seconds = seen["broken"]
    assert status == 500
    assert seconds > 7 * 0.25


def test_a_reload_of_the_proxy_fails_no_request(seen: Any) -> None:
    assert seen["reloaded"] == [[200, "first"]]


def test_what_waits_in_a_worker_that_was_replaced_is_answered_by_another_machine(seen: Any) -> None:
    """That worker's checks have ended, so it never learns that the application is away."""
    assert seen["reloaded while away"] == [[200, "second"]]


def test_a_request_waits_while_no_machine_has_an_application_that_answers(seen: Any) -> None:
    assert seen["both"] == [200, "second"]
