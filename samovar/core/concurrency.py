"""Runs calls at the same time, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

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


def _run(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - the caller raises it
        future.set_exception(error)
