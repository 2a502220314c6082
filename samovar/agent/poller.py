"""Something outside that is asked again and again. While it is away its last answer serves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from .errors import Away

T = TypeVar("T")

RAREST = 60.0
"""Seconds between two questions to what is away, at most."""


class Source(Generic[T]):
    """Asks at most every `period` seconds, and what is away more and more rarely; `say` hears of both."""

    def __init__(self, name: str, ask: Callable[[], T], period: float, say: Callable[[str], None]) -> None:
        self._name = name
        self._ask = ask
        self._period = period
        self._say = say
        self._known: tuple[T] | None = None
        self._due = 0.0
        self._pause = 0.0

    def value(self) -> T:
        """Raises Away only while there never was an answer."""
        if self._known and time.monotonic() < self._due:
            return self._known[0]
        try:
            answer = self._ask()
        except Away as away:
            return self._last(away)
        if self._pause:
            self._say(f"{self._name}: answers again")
        self._known, self._pause = (answer,), 0.0
        self._due = time.monotonic() + self._period
        return answer

    def _last(self, away: Away) -> T:
        if not self._known:
            raise away
        self._pause = min(max(2 * self._pause, self._period, 1.0), RAREST)
        self._due = time.monotonic() + self._pause
        self._say(f"going on with what is known, waiting for {away}")
        return self._known[0]
