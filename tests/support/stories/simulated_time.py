"""Simulated time for a tool that waits by the host's clock: its sleeps let the loop of the cloud go on instead."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import TypeVar
from unittest.mock import patch

from samovar.localcloud.simulated.event_loop import SimulatedLoop
from samovar.localcloud.store import ids

T = TypeVar("T")
START = 1_800_000_000.0
"""The date at which the clock begins, in seconds since 1970."""
TICK = 0.5


class SimulatedTime:
    """A clock under the cloud and the tool, which run in one thread: while the tool sleeps, the cloud goes on.

    What is due at a moment is done as soon as the tool sleeps or calls the cloud. `on_tick` is called every TICK.
    """

    def __init__(self, start: float = START) -> None:
        self.loop = SimulatedLoop(start=start)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.on_tick: Callable[[], None] = lambda: None

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self.loop.run_until_complete(work)

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Do it so many seconds from now."""
        heapq.heappush(self._due, (self.loop.time() + seconds, next(self._order), act))

    def do_what_is_due(self) -> None:
        while self._due and self._due[0][0] <= self.loop.time():
            heapq.heappop(self._due)[2]()

    def sleep(self, seconds: float) -> None:
        ends = self.loop.time() + seconds
        while True:
            self.do_what_is_due()
            now = self.loop.time()
            if now >= ends:
                return
            until = min(ends, now + TICK, *(moment for moment, *_ in self._due[:1]))
            self.run(asyncio.sleep(until - now))
            self.on_tick()

    @contextmanager
    def ruling(self, seed: int = 0) -> Iterator[None]:
        """While it lasts, all of this process goes by this clock, in one thread, and by the same random numbers."""
        numbers = random.Random(seed)  # noqa: S311 - a sequence that can be repeated, not a secret
        with (
            patch("time.time", self.loop.wall_time),
            patch("time.monotonic", self.loop.time),
            patch("time.perf_counter", self.loop.time),
            patch("time.sleep", self.sleep),
            patch("samovar.core.concurrency.threading", SimpleNamespace(Thread=_AtOnce)),
            patch("samovar.deploy.lease.Lease.keep", lambda _: None),
            patch.object(ids, "secrets", numbers),
        ):
            yield

    def close(self) -> None:
        self.loop.close()


class _AtOnce:
    """A thread that has ended as soon as it is started."""

    def __init__(self, target: Callable[..., None], args: tuple[object, ...], **_: object) -> None:
        self.start = partial(target, *args)
