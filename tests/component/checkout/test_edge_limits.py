"""An edge limits one client that sends slow headers, huge ones, half a body or a flood, and serves the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.edge import edge_image, run_scenario
from tests.support.edge_scenarios import limits

RATE = 20
"""Requests a second that a client may send here; it may open twice as many connections, and as many more at once."""
HEADERS = 10
"""Seconds that nginx waits for a header."""
BUSY = 5.0
"""Seconds that a busy host may take for what is done at once."""
ATTACK = 5
"""Seconds."""


@pytest.fixture(scope="module")
def image() -> Path:
    return edge_image()


def test_slow_and_huge_requests_are_ended_at_the_edge(image: Path) -> None:
    result = run_scenario(image, limits.slow_and_huge_requests)
    assert set(result["meanwhile"]) == {200}
    assert (result["still"], result["last"]) == (200, 200)
    assert {line.partition(" ")[2][:3] for line in result["ended"]} <= {"", "408"}
    assert result["seconds"] < 60
    assert [line.split(" ")[1] for line in result["huge"]] == ["400", "414", "413"]
    assert result["at_once"] < BUSY
    assert result["seen"]


def test_a_peak_is_delayed_and_a_flood_rejected(image: Path) -> None:
    result = run_scenario(image, limits.peak_and_flood)
    answers, seconds = result["peak"]
    assert set(answers) == {"200"}
    assert seconds > 1
    assert set(result["flood"][0]) == {"200", "429"}
    assert result["other"] == 200
    assert result["logged"] <= 0.1 * result["flood"][0].count("429"), "nor does it fill the disk with logs"
    assert result["errors"] == 0


def test_slow_headers_of_one_client_leave_room_for_others(image: Path) -> None:
    """It opens far more connections than nginx has room for, for longer than a header may take."""
    result = run_scenario(image, limits.slow_headers, headers=HEADERS, rate=RATE)
    assert [status for status, _ in result["others"]] == [200] * len(result["others"])
    assert max(seconds for _, seconds in result["others"]) < BUSY
    assert not result["full"]
    assert RATE * 4 <= result["held"] <= RATE * 4 + RATE * 2 * (result["seconds"] + 1)


def test_quic_connections_are_counted_by_their_first_packets(image: Path) -> None:
    """Packets of a connection that is there (0x40) and other long ones (0xe0, a handshake's) pass."""
    result = run_scenario(image, limits.quic_first_packets, rate=RATE)
    assert (result["40"], result["e0"]) == (0, 0)
    assert 0 < result["c0"] <= RATE * 6


def test_streams_that_are_reset_at_once_keep_no_other_client_waiting(image: Path) -> None:
    """The limit of a client counts them as well; of those that it lets pass few or none reach the application."""
    result = run_scenario(image, limits.rapid_resets, rate=RATE, seconds=ATTACK)
    assert result["refused"] > RATE * ATTACK * 10
    assert [status for status, _ in result["others"]] == [200] * len(result["others"])
    assert max(seconds for _, seconds in result["others"]) < BUSY
    assert result["reached"] <= result["passed"] <= RATE * (ATTACK + 5)
