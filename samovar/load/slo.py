"""Checks answers: whether one is what the profile expects, and whether the service answers well. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from samovar.load.client import Answer
from samovar.load.results import Outcome
from samovar.project.load_profile import ABSENT, OK, SLOW_ANSWER, Endpoint, Step

CACHED, STALE, AGELESS = "from a cache", "too old", "of unknown age"
STILL_THERE = "still there"
REDIRECTS = 300
CACHE_STATES = frozenset({"HIT", "STALE", "UPDATING", "REVALIDATED"})
CLOCK_TOLERANCE = 0.001
"""Seconds by which clocks and timers may differ."""


def failure(endpoint: Endpoint, step: Step, answer: Answer, seconds: float, now: datetime) -> str:
    """Return why the answer to a step is a failure, empty if it is none.

    `seconds` is what it took from when it was sent.
    """
    if step.absent and succeeded(answer) and not holds_nothing(answer):
        return STILL_THERE
    if not (is_absent(answer) if step.absent else _has_status(step, answer)):
        return f"HTTP {answer.status}"
    least = 0.0 if step.absent else endpoint.min_seconds  # what is not there may take less
    if endpoint.max_age == 0 and (from_cache(answer.headers) or seconds < least - CLOCK_TOLERANCE):
        return CACHED
    return _too_old(endpoint.max_age, answer, now) if endpoint.max_age else ""


def succeeded(answer: Answer) -> bool:
    """Return whether the status is one of success."""
    return OK <= answer.status < REDIRECTS


def is_absent(answer: Answer) -> bool:
    """Return whether the answer says that a thing is not there: by its status, or by JSON that holds nothing."""
    return answer.status in ABSENT or (succeeded(answer) and holds_nothing(answer))


def holds_nothing(answer: Answer) -> bool:
    """Return whether the body is empty, or JSON without any content."""
    try:
        return not json.loads(answer.body or b"null")
    except ValueError:
        return False


def _has_status(step: Step, answer: Answer) -> bool:
    return succeeded(answer) if step.status is None else answer.status == step.status


def from_cache(headers: Mapping[str, str]) -> bool:
    """Return whether the headers name a cache: those of RFC 9111 and RFC 9211, and X-Cache as nginx is made to send."""
    hit = headers.get("x-cache", "").upper().partition(" ")[0] in CACHE_STATES
    return hit or _names_a_hit(headers.get("cache-status", "")) or headers.get("age", "0") != "0"


def _names_a_hit(cache_status: str) -> bool:
    """Return whether a cache of the list says `hit`; its name, or a detail, may hold these letters as well."""
    parameters = (parameter for cache in cache_status.split(",") for parameter in cache.split(";")[1:])
    return any(parameter.strip().lower() in {"hit", "hit=?1"} for parameter in parameters)


def age(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds since the answer was generated, by RFC 9111 (4.2.3); None if no header says so."""
    ages = []
    if headers.get("age", "").isdigit():
        ages.append(float(headers["age"]))
    if generated := _date(headers.get("date", "")):
        ages.append((now - generated).total_seconds())
    return max(ages, default=None)


def seconds_of_trouble(outcomes: Iterable[Outcome], since: float) -> float:
    """Return the seconds from `since` to the end of the last request that failed or was slow; 0 if there is none."""
    ends = [outcome.end - since for outcome in outcomes if outcome.end > since and _is_trouble(outcome)]
    return max(ends, default=0.0)


def answers_well(
    outcomes: Iterable[Outcome],
    waiting: Iterable[tuple[str, float]],
    endpoints: Collection[str],
    now: float,
    last: float,
) -> bool:
    """Return whether those endpoints answered every request of the `last` seconds well, and none waits for long.

    `waiting` has endpoint and due time of each request in flight.
    """
    recent = [outcome for outcome in outcomes if outcome.endpoint in endpoints and outcome.end > now - last]
    due = [moment for endpoint, moment in waiting if endpoint in endpoints]
    return bool(recent) and not any(map(_is_trouble, recent)) and all(now - moment <= SLOW_ANSWER for moment in due)


def _is_trouble(outcome: Outcome) -> bool:
    return bool(outcome.failure) or outcome.seconds > SLOW_ANSWER


def _too_old(max_age: float, answer: Answer, now: datetime) -> str:
    seconds = age(answer.headers, now)
    if seconds is None:
        return AGELESS
    return STALE if seconds > max_age + 1 else ""  # headers count whole seconds


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None
