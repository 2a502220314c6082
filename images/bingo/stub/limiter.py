"""Limits the requests per second: a request above the limit waits, and is rejected if it would wait too long."""

from __future__ import annotations

from collections import deque

RATE = 100
MAX_WAIT = 5.0
"""Seconds that a request waits at most before it is rejected."""


class Limiter:
    """A sliding-window rate limiter. Pure: the caller passes the time and does the waiting."""

    def __init__(self, rate: int = RATE, max_wait: float = MAX_WAIT) -> None:
        self.max_wait = max_wait
        self._starts: deque[float] = deque(maxlen=rate)

    def wait(self, now: float) -> float | None:
        """Return the seconds that a request arriving at `now` (monotonic) must wait, or None to reject it."""
        start = now
        if len(self._starts) == self._starts.maxlen:
            start = max(now, self._starts[0] + 1.0)
        if start - now > self.max_wait:
            return None
        self._starts.append(start)
        return start - now
