"""Runs calls at the same time, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def run_concurrently(*calls: Callable[[], T]) -> list[T]:
    """Return the results of the calls, in their order. Raises the first failure.

    The threads are daemons: Ctrl-C ends the command at once, whatever they are waiting for.
    """
    futures: list[Future[T]] = []
    for call in calls:
        futures.append(Future())
        threading.Thread(target=_run, args=(futures[-1], call), daemon=True).start()
    return [future.result() for future in futures]


def _run(future: Future[T], call: Callable[[], T]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - the caller raises it
        future.set_exception(error)
