"""Whether an answer is what the terms ask for: its status, its age, and whether it came from a cache."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from samovar.load.client import Answer
from samovar.load.slo import GONE, OK, Endpoint, Step

CACHED, STALE, AGELESS = "from a cache", "too old", "of unknown age"
SERVED = frozenset({"HIT", "STALE", "UPDATING", "REVALIDATED"})
TIMING = 0.001
"""Seconds by which clocks and timers may differ."""


def failure(step: Step, answer: Answer, seconds: float, now: datetime) -> str:
    """Why that answer, which took `seconds` from when it was asked, is none; empty where it is one."""
    endpoint = step.endpoint
    if step.status == GONE and answer.status == OK:
        return CACHED
    if answer.status != step.status:
        return f"HTTP {answer.status}"
    if endpoint.age == 0 and (from_cache(answer.headers) or seconds < endpoint.least - TIMING):
        return CACHED
    return "" if endpoint.age in (0, float("inf")) else _too_old(endpoint, answer, now)


def from_cache(headers: Mapping[str, str]) -> bool:
    """By what caches say of themselves: RFC 9111, RFC 9211, and the header that nginx and others are made to send."""
    told = headers.get("x-cache", "").upper().partition(" ")[0] in SERVED
    return told or "hit" in headers.get("cache-status", "").lower() or headers.get("age", "0") != "0"


def age(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds since the answer was generated, as RFC 9111 (4.2.3) reckons; None where nothing says so."""
    found = []
    if headers.get("age", "").isdigit():
        found.append(float(headers["age"]))
    if made := _date(headers.get("date", "")):
        found.append((now - made).total_seconds())
    return max(found, default=None)


def _too_old(endpoint: Endpoint, answer: Answer, now: datetime) -> str:
    found = age(answer.headers, now)
    if found is None:
        return AGELESS
    return STALE if found > endpoint.age + 1 else ""  # headers count whole seconds


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None
