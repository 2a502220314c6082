"""Runs calls at the same time, each in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

T = TypeVar("T")


def start(call: Callable[[], T]) -> Future[T]:
    """Start a call. Its result, or its exception, is what `result()` of the future returns or raises.

    The thread is a daemon: Ctrl-C ends the command at once, whatever the call waits for.
    """
    future: Future[T] = Future()
    threading.Thread(target=_run, args=(future, call), daemon=True).start()
    return future


def run_concurrently(*calls: Callable[[], T]) -> list[T]:
    """Return the results of the calls, in their order. Raises the first failure."""
    futures = [start(call) for call in calls]
    return [future.result() for future in futures]


class Background(Generic[T]):
    """Makes one call at a time in the background, each `pause` seconds after the end of the last one was seen.

    The first one may be waited for.
    """

    def __init__(self, pause: float = 0.0, *, wait_for_first: bool = False) -> None:
        self._pause = pause
        self._wait_for_first = wait_for_first
        self._running: Future[T] | None = None
        self._due = 0.0

    def answer(self, call: Callable[[], T]) -> T | None:
        """Return the answer that has come since the last time, if any, and begin the next call where it is due.

        Raises what the call raised.
        """
        if self._wait_for_first:
            self._wait_for_first = False
            self._running = start(call)
            wait([self._running])
        ended = self._running if self._running and self._running.done() else None
        if ended:
            self._running, self._due = None, time.monotonic() + self._pause
        if self._running is None and time.monotonic() >= self._due:
            self._running = start(call)
        return ended.result() if ended else None


def _run(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - the caller raises it
        future.set_exception(error)
