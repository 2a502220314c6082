from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from samovar.agent.errors import Away, Wrong
from samovar.agent.retry import LONG, patiently


class Clock:
    """Time that passes only while one sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def away_until(clock: Clock, when: float) -> Callable[[], str]:
    def ask() -> str:
        if clock.now < when:
            raise Away("the tea")
        return "tea"

    return ask


def test_what_comes_soon_is_found_at_once_and_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    said: list[str] = []
    assert patiently(away_until(clock, 0.5), said.append, clock.sleep) == "tea"
    assert clock.now < 0.55
    assert said == []


def test_a_long_wait_is_heard_and_grows_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    said: list[str] = []
    assert patiently(away_until(clock, 600), said.append, clock.sleep) == "tea"
    assert said[0] == "waiting for the tea (for 1 s)"
    assert clock.pauses[-1] == LONG
    assert clock.now <= 600 + LONG
    assert len(said) < 80


def test_what_is_wrong_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)

    def ask() -> str:
        raise Wrong("coffee")

    with pytest.raises(Wrong):
        patiently(ask, print, clock.sleep)
    assert clock.pauses == []
