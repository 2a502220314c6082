"""The loop and the workers that all controllers share: they act when something changed, and again after a failure."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress

import structlog

from samovar.core.errors import SamovarError

log = structlog.get_logger(__name__)

RETRY = 1.0
LONGEST_PAUSE = 60.0
REMEMBERED = 100
"""How many failures are remembered, so that one that is met again is not logged again."""


class Loop:
    """Calls `step` after each `wake`, and after `period` seconds without one. A failing step is tried again.

    It rests as long as a step took, so that many changes are one step, and calls are answered meanwhile.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[None]], *, period: float) -> None:
        self._name = name
        self._step = step
        self._period = period
        self._woken = asyncio.Event()
        self._repeats = Repeats()

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        while True:
            self._woken.clear()
            began = time.perf_counter()
            try:
                await self._step()
            except Exception as error:
                if self._repeats.is_new(error):
                    log.exception("step failed", loop=self._name)
                await asyncio.sleep(RETRY)
            await asyncio.sleep(min(time.perf_counter() - began, self._period))
            try:
                async with asyncio.timeout(self._period):
                    await self._woken.wait()
            except TimeoutError:
                pass


async def in_turn(*steps: Callable[[], Awaitable[None]]) -> None:
    """Take every step, whether or not those before it failed; raise all failures at the end, together."""
    failures = []
    for step in steps:
        try:
            await step()
        except Exception as failure:  # noqa: BLE001 - it is raised below
            failures.append(failure)
    if failures:
        raise ExceptionGroup("of the steps in turn", failures)


class Workers:
    """Workers do what takes time beside the loop, one task a key at a time.

    Work that fails keeps its key for 1, 2, 4 ... LONGEST_PAUSE seconds, so that it is tried again ever less often.
    """

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}
        self._failed: Counter[Hashable] = Counter()
        self._repeats = Repeats()
        self._ending = asyncio.Event()

    def busy(self, key: Hashable) -> bool:
        return key in self._tasks

    def start(self, key: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        """Start a task that calls `work`; one that is cancelled before it ran leaves no coroutine behind."""
        self._tasks[key] = asyncio.ensure_future(self._run(key, work))

    async def settle(self) -> None:
        """Wait until nothing is under way, and for no pause. Nothing may be started any more."""
        self._ending.set()
        while self._tasks:
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, key: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
            self._failed.pop(key, None)
        except Exception as error:
            if self._repeats.is_new(error, key):
                log.exception("work failed", key=key)
            await self._pause(key)
        finally:
            del self._tasks[key]
            self._done()

    async def _pause(self, key: Hashable) -> None:
        pause = min(RETRY * 2 ** self._failed[key], LONGEST_PAUSE)
        self._failed[key] += 1
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._ending.wait()


def reason_of(error: Exception) -> str:
    """Return an error as an operator reads it, in one line. An unforeseen one names where there is more."""
    if isinstance(error, SamovarError):
        return f"{error.message}; remedy: {error.remedy}" if error.remedy else error.message
    if isinstance(error, OSError):
        return str(error)
    return f"{type(error).__name__}: {error} (unexpected; the daemon's log has more)"


class Repeats:
    """Remembers the last failures, so that one that comes again and again is logged once."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, None] = OrderedDict()

    def is_new(self, error: BaseException, what: object = "") -> bool:
        """Return whether this error, of that piece of work, is not among the last ones."""
        text = f"{what} {type(error).__name__} {_words(error)}"
        new = text not in self._last
        self._last[text] = None
        self._last.move_to_end(text)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)
        return new


def _words(error: BaseException) -> str:
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return "; ".join([str(error), *map(_words, parts)])
