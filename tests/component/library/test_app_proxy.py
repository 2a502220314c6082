"""The proxy of an application, run by the HAProxy of its image: another machine answers while its own does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from samovar.agent.inputs import Peer
from tests.support.edge import baked_image, run_scenario
from tests.support.edge_scenarios import app_machines as scenario
from tests.support.roles import MACHINE, rendered

SETTINGS = {"port": 3000, "health": "/healthz"}
PROXY = "/etc/haproxy/haproxy.cfg"
CHECK_TIMEOUT = 1.0
"""Seconds that the group's check waits."""


@pytest.fixture(scope="module")
def answers() -> Any:
    first, second = configuration(Peer("second", scenario.SECOND)), configuration(Peer("first", scenario.FIRST))
    image = baked_image("samovar-app")
    return run_scenario(image, scenario.failures, first=first, second=second, alone=configuration())


def configuration(*others: Peer, **settings: int) -> str:
    """Return the configuration of a machine that has these other machines in its group."""
    peers = Peer("own", MACHINE.address), *others
    return rendered("samovar-app", json.dumps({**SETTINGS, **settings}), peers=peers)[PROXY]


@pytest.mark.parametrize("what", ["reads", "writes", "sick"])
def test_another_machine_answers_for_an_application_that_is_away_or_answers_errors(answers: Any, what: str) -> None:
    assert answers[what] == [[200, "second"]]


def test_a_client_of_the_world_cannot_claim_another_address_or_host(answers: Any) -> None:
    """An edge, which has an address of the network, is believed."""
    assert answers["client"] == ["['192.0.2.1', 'bank.example', '192.0.2.2']", "['198.51.100.7', None, None]"]


def test_a_small_body_may_take_longer_than_a_header(answers: Any) -> None:
    assert answers["slow body"] == 200


def test_a_write_whose_answer_is_lost_is_not_repeated(answers: Any) -> None:
    assert answers["lost"][0] == 502


def test_tries_after_an_answer_of_500_have_a_pause_between_them(answers: Any) -> None:
    status, seconds = answers["broken"]
    assert status == 500
    assert seconds > 7 * 0.25


def test_a_reload_of_the_proxy_fails_no_request(answers: Any) -> None:
    assert answers["reloaded"] == [[200, "first"]]


def test_another_machine_answers_requests_that_wait_in_a_replaced_worker(answers: Any) -> None:
    """The checks of that worker have ended, so it never learns that the application is away."""
    assert answers["reloaded while away"] == [[200, "second"]]


def test_a_request_waits_while_no_machine_has_an_application_that_answers(answers: Any) -> None:
    assert answers["both"] == [200, "second"]


def test_requests_that_wait_in_a_worker_are_answered_after_the_group_shrank_to_one_machine(answers: Any) -> None:
    """The group was made smaller, to this one machine."""
    assert answers["alone"] == [200]


def test_another_machine_is_asked_though_no_answer_of_500_is_repeated() -> None:
    peers = Peer("second", scenario.SECOND), Peer("first", scenario.FIRST)
    first, second = (configuration(peer, retries_after_500=0) for peer in peers)
    answers = run_scenario(baked_image("samovar-app"), scenario.without_repeats, first=first, second=second)
    assert answers["reads"] == [[200, "second"]]


def test_a_machine_is_alive_while_more_requests_wait_than_it_takes() -> None:
    """Else its group would make it anew, and the next one would have as many."""
    answers = run_scenario(baked_image("samovar-app"), scenario.overload, alone=configuration())
    status, seconds = answers["health"]
    assert status == 200
    assert seconds < CHECK_TIMEOUT
    assert answers["one more"] == 503
