from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from samovar.agent.clients import Unavailable
from samovar.agent.inputs import JITTER, MAX_PERIOD, Periods, Poller


class Server:
    """A server that answers `answer`; None: it is unavailable."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.answer: str | None = "green"
        self.requests: list[float] = []
        self.reports: list[str] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        self.share = 1.0
        monkeypatch.setattr(random, "uniform", lambda low, high: min(max(self.share, low), high))

    def request(self) -> str:
        self.requests.append(self.now)
        if self.answer is None:
            raise Unavailable("server: off")
        return self.answer

    def poller(self) -> Poller[str]:
        return Poller("server", self.request, 10.0, self.reports.append)

    def pass_seconds(self, seconds: int, look: Callable[[], object]) -> None:
        """Let that many seconds pass, and look once in each."""
        for _ in range(seconds):
            self.now += 1
            look()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


def test_poller_asks_once_a_period(server: Server) -> None:
    poller = server.poller()
    assert poller.value() == "green"
    server.answer = "black"
    server.pass_seconds(9, poller.value)
    assert poller.value() == "green"
    server.pass_seconds(1, poller.value)
    assert poller.value() == "black"
    assert server.requests == [1000, 1010]


def test_machines_that_began_together_do_not_ask_together(server: Server) -> None:
    for server.share in (0.0, 2.0):
        poller = server.poller()
        poller.value()
        server.pass_seconds(30, poller.value)
    early, late = server.requests[1] - server.requests[0], server.requests[-1] - server.requests[-2]
    assert (early, late) == (10 * (1 - JITTER), 10 * (1 + JITTER))


def test_a_secret_is_asked_for_every_five_minutes(server: Server) -> None:
    """Lockbox bills each request; while there is none yet, it is asked for at once, as `retry_until_available` does."""
    assert Periods().secrets == 300
    poller = Poller("secret", server.request, Periods().secrets, server.reports.append)
    server.pass_seconds(3600, poller.value)
    assert len(server.requests) == 12


def test_poller_without_an_answer_asks_again_at_once(server: Server) -> None:
    poller, server.answer = server.poller(), None
    for _ in range(2):
        with pytest.raises(Unavailable, match="server: off"):
            poller.value()
    assert server.requests == [1000, 1000]
    assert server.reports == []


def test_poller_uses_the_last_answer_and_asks_less_often(server: Server) -> None:
    poller = server.poller()
    poller.value()
    server.answer = None
    server.pass_seconds(600, poller.value)
    assert poller.value() == "green"
    assert server.requests[1:6] == [1010, 1020, 1040, 1080, 1140]
    assert server.requests[-1] - server.requests[-2] == MAX_PERIOD
    assert server.reports == ["using the last answer, waiting for server: off"] * (len(server.requests) - 1)
    server.answer = "white"
    server.pass_seconds(60, poller.value)
    assert poller.value() == "white"
    assert server.reports[-1] == "server: answers again"
