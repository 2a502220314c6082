"""Waits of tests, in the engine's own way: a deadline, and a message that has what was there at last."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from samovar.core.waiting import Pending, wait_for

T = TypeVar("T")


def wait_until(
    what: str, probe: Callable[[], T | None], *, timeout: float = 60.0, errors: tuple[type[Exception], ...] = ()
) -> T:
    """Return the first value of `probe` that is true; it may raise `errors` before. Raises WaitTimeout."""

    def attempt() -> T | Pending:
        try:
            value = probe()
        except errors as error:
            return Pending(repr(error))
        return value or Pending(repr(value))

    return wait_for(what, attempt, timeout=timeout, interval=0.02, ceiling=0.2)
