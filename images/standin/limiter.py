"""At most so many requests in any second; what is above waits its turn, and what would wait too long is shed."""

from __future__ import annotations

from collections import deque

RATE = 100
PATIENCE = 5.0
"""Seconds that a request waits before it is shed."""


class Limiter:
    """Gives each request the moment of its turn. Pure: the caller brings the time and does the waiting."""

    def __init__(self, rate: int = RATE, patience: float = PATIENCE) -> None:
        self._turns: deque[float] = deque(maxlen=rate)
        self._patience = patience

    def wait(self, now: float) -> float | None:
        """Seconds until the turn of a request that comes at `now`, which is monotonic; None: it is to be shed."""
        turn = now
        if len(self._turns) == self._turns.maxlen:
            turn = max(now, self._turns[0] + 1.0)
        if turn - now > self._patience:
            return None
        self._turns.append(turn)
        return turn - now

    @property
    def patience(self) -> float:
        return self._patience
