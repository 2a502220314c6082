"""The loop that all of `control` shares: look again when something changed, and at the latest after a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable

import structlog

log = structlog.get_logger(__name__)

RETRY = 1.0


class Loop:
    """Calls `step` after each `wake`, and after `period` seconds without one. A failing step is tried again."""

    def __init__(self, name: str, step: Callable[[], Awaitable[None]], *, period: float) -> None:
        self._name = name
        self._step = step
        self._period = period
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._step()
            except Exception:
                log.exception("step failed", loop=self._name)
                await asyncio.sleep(RETRY)
            try:
                async with asyncio.timeout(self._period):
                    await self._woken.wait()
            except TimeoutError:
                pass


async def in_turn(*steps: Callable[[], Awaitable[None]]) -> None:
    """Takes every step, whatever became of those before it; what failed is raised at the end, together."""
    failures = []
    for step in steps:
        try:
            await step()
        except Exception as failure:  # noqa: BLE001 - it is raised below
            failures.append(failure)
    if failures:
        raise ExceptionGroup("of the steps in turn", failures)


class Workers:
    """At most one task a key: what takes time goes on beside the loop, and a second one for the same thing waits."""

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self._tasks: dict[Hashable, asyncio.Task[None]] = {}

    def busy(self, key: Hashable) -> bool:
        return key in self._tasks

    def start(self, key: Hashable, work: Awaitable[None]) -> None:
        self._tasks[key] = asyncio.ensure_future(self._run(key, work))

    async def settle(self) -> None:
        """Waits until nothing is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, key: Hashable, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:
            log.exception("work failed", key=key)
            await asyncio.sleep(RETRY)
        finally:
            del self._tasks[key]
            self._done()
