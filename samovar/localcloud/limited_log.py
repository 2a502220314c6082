"""A log for what others can make happen without end: an event at most once a period, with how many were left out."""

from __future__ import annotations

import time
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class LimitedLog:
    """`period` is in seconds, for each event by itself."""

    def __init__(self, period: float = 1.0) -> None:
        self._period = period
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, event: str, **facts: Any) -> None:
        """Logs the event unless it was logged within the last period."""
        now = time.monotonic()
        if now - self._last.get(event, -self._period) < self._period:
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return
        self._last[event] = now
        left_out = self._left_out.pop(event, 0)
        log.warning(event, **facts, **({"left_out": left_out} if left_out else {}))
