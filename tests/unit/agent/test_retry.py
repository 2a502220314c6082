from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from samovar.agent.clients import Unavailable
from samovar.agent.inputs import MAX_PAUSE, retry_until_available
from samovar.agent.role import InvalidConfig


class Clock:
    """Time that passes only while one sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def unavailable_until(clock: Clock, when: float) -> Callable[[], str]:
    def request() -> str:
        if clock.now < when:
            raise Unavailable("the server")
        return "answer"

    return request


def test_a_short_wait_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    reports: list[str] = []
    assert retry_until_available(unavailable_until(clock, 0.5), reports.append, clock.sleep) == "answer"
    assert clock.now < 0.55
    assert reports == []


def test_a_long_wait_is_reported_and_its_pauses_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    reports: list[str] = []
    assert retry_until_available(unavailable_until(clock, 600), reports.append, clock.sleep) == "answer"
    assert reports[0] == "waiting for the server (for 1 s)"
    assert clock.pauses[-1] == MAX_PAUSE
    assert clock.now <= 600 + MAX_PAUSE
    assert len(reports) < 80


def test_an_invalid_config_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    def request() -> str:
        raise InvalidConfig("no")

    with pytest.raises(InvalidConfig):
        retry_until_available(request, print, clock.sleep)
    assert clock.pauses == []
