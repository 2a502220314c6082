"""Checks in the background what a reading does not wait for: addresses, and what machines warn of on their consoles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from samovar.cloud.session import Session
from samovar.core.concurrency import Background
from samovar.core.errors import SamovarError
from samovar.deploy.console import console_warnings
from samovar.deploy.endpoints import check_endpoints
from samovar.deploy.status import Status, Unanswered
from samovar.project.environment import Environment

T = TypeVar("T")
LOOKS = 2
"""The looks in a row at which an address has to fail: a connection may be lost while a balancer switches."""
CONSOLES_EVERY = 15.0
"""Seconds between two looks at the consoles, each of a call for every machine that is asked."""
Missed = tuple[int, str]
"""How many looks in a row an address did not answer, and why."""


def background_checks(session: Session, environment: Environment) -> Callable[[Status], Status]:
    """Return what adds to a status the addresses that do not answer, and the warnings of the consoles."""
    addresses = Addresses(partial(check_endpoints, session))
    warnings = Warnings(partial(console_warnings, session, environment))
    return lambda status: warnings(addresses(status))


class Addresses:
    """Adds to statuses the endpoints that do not answer, as of the last looks."""

    def __init__(self, check: Callable[[Status], Status]) -> None:
        self._check = check
        self._background = Background[Status](wait_for_first=True)
        self._missed: Mapping[str, Missed] | None = None

    def __call__(self, status: Status) -> Status:
        """Return the status with the endpoints that failed to answer; those that it has already stay."""
        checked = _answer(self._background, partial(self._check, replace(status, unanswered=())))
        if checked:
            self._missed = count_missed(self._missed, checked)
        missed = self._missed or {}
        lasting = {url: reason for url, (times, reason) in missed.items() if times >= LOOKS}
        unanswered = (Unanswered(url, lasting[url]) for url in status.endpoints.all if url in lasting)
        return replace(status, unanswered=(*status.unanswered, *unanswered))


def count_missed(before: Mapping[str, Missed] | None, checked: Status) -> Mapping[str, Missed]:
    """Return the looks that were missed by now. The first look of all counts at once, as that of `status` does.

    Addresses of groups that are not healthy were not asked: what was known of them stays.
    """
    if not checked.groups_healthy:
        return before or {}
    times = {url: count for url, (count, _) in (before or {}).items()}
    earlier = 0 if before is not None else LOOKS - 1
    return {each.url: (times.get(each.url, earlier) + 1, each.reason) for each in checked.unanswered}


class Warnings:
    """Adds to statuses what machines warned of, as of the last look at their consoles."""

    def __init__(self, read: Callable[[Status], tuple[str, ...]]) -> None:
        self._read = read
        self._background = Background[tuple[str, ...]](CONSOLES_EVERY, wait_for_first=True)
        self._last: tuple[str, ...] = ()

    def __call__(self, status: Status) -> Status:
        read = _answer(self._background, partial(self._read, status))
        self._last = self._last if read is None else read
        return replace(status, warnings=(*status.warnings, *self._last))


def _answer(background: Background[T], call: Callable[[], T]) -> T | None:
    """Return the answer that has come since the last time, if any; a call that failed proves nothing."""
    with suppress(SamovarError):
        return background.answer(call)
    return None
