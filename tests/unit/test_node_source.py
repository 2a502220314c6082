from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from samovar.agent.errors import Away
from samovar.agent.poller import RAREST, Source


class Tea:
    """What is asked for; None: it is away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.kind: str | None = "green"
        self.asked: list[float] = []
        self.said: list[str] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def ask(self) -> str:
        self.asked.append(self.now)
        if self.kind is None:
            raise Away("tea: cold")
        return self.kind

    def source(self) -> Source[str]:
        return Source("tea", self.ask, 10.0, self.said.append)

    def passes(self, seconds: int, look: Callable[[], object]) -> None:
        """Looks once a second."""
        for _ in range(seconds):
            self.now += 1
            look()


@pytest.fixture
def tea(monkeypatch: pytest.MonkeyPatch) -> Tea:
    return Tea(monkeypatch)


def test_it_is_asked_once_a_period(tea: Tea) -> None:
    source = tea.source()
    assert source.value() == "green"
    tea.kind = "black"
    tea.passes(9, source.value)
    assert source.value() == "green"
    tea.passes(1, source.value)
    assert source.value() == "black"
    assert tea.asked == [1000, 1010]


def test_what_never_answered_is_away_and_asked_at_once_again(tea: Tea) -> None:
    source, tea.kind = tea.source(), None
    for _ in range(2):
        with pytest.raises(Away, match="tea: cold"):
            source.value()
    assert tea.asked == [1000, 1000]
    assert tea.said == []


def test_the_last_answer_serves_while_it_is_away_and_it_is_asked_ever_more_rarely(tea: Tea) -> None:
    source = tea.source()
    source.value()
    tea.kind = None
    tea.passes(600, source.value)
    assert source.value() == "green"
    assert tea.asked[1:6] == [1010, 1020, 1040, 1080, 1140]
    assert tea.asked[-1] - tea.asked[-2] == RAREST
    assert tea.said == ["going on with what is known, waiting for tea: cold"] * (len(tea.asked) - 1)
    tea.kind = "white"
    tea.passes(60, source.value)
    assert source.value() == "white"
    assert tea.said[-1] == "tea: answers again"
