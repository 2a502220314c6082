"""An event loop with a clock of its own: timers and dates go faster than the host's, or as fast as work is done."""

from __future__ import annotations

import asyncio
import math
import selectors
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

T = TypeVar("T")
Ready = list[tuple[selectors.SelectorKey, int]]
Select = Callable[[float | None], Ready]

JUMP = math.inf
"""The speed of a clock that waits for nothing: where nothing is ready, it goes on to the next timer."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock runs at `speed` simulated seconds per second of the host.

    With JUMP nothing may be waited for that takes time outside of the loop (a process, a thread, another host): timers
    would run out meanwhile. With any other speed everything works as usual, with shorter timers.
    """

    def __init__(self, speed: float = JUMP, start: float | None = None) -> None:
        """Make a loop; `start` is the date at which its clock begins, in seconds since 1970, or None for now."""
        self._speed = speed
        self._began = time.monotonic()
        self._jumped = 0.0
        self._date = (time.time() if start is None else start) - self.time()
        super().__init__(_Selector(self._wait))

    @property
    def speed(self) -> float:
        return self._speed

    def time(self) -> float:
        if self._speed == JUMP:
            return self._jumped
        return (time.monotonic() - self._began) * self._speed

    def wall_time(self) -> float:
        """Return the date, in seconds since 1970."""
        return self._date + self.time()

    def set_date_forward(self, seconds: float) -> None:
        """Set the date, as an administrator sets a clock: back, if it is negative. No timer knows of it."""
        self._date += seconds

    def _wait(self, select: Select, timeout: float | None) -> Ready:
        if timeout is None or timeout <= 0:
            return select(timeout)
        ready = select(timeout / self._speed)
        if self._speed == JUMP and not ready:
            self._jumped += timeout
        return ready


class _Selector(selectors.BaseSelector):
    """The host's selector, with time-outs by the loop's clock."""

    def __init__(self, wait: Callable[[Select, float | None], Ready]) -> None:
        self._real = selectors.DefaultSelector()
        self._wait = wait

    def register(self, fileobj: FileDescriptorLike, events: int, data: object = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: FileDescriptorLike, events: int, data: object = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def select(self, timeout: float | None = None) -> Ready:
        return self._wait(self._real.select, timeout)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return self._real.get_map()


def run(work: Coroutine[object, object, T], speed: float = JUMP, start: float | None = None) -> T:
    """Run a coroutine on such a loop, as `asyncio.run` does."""
    with asyncio.Runner(loop_factory=lambda: SimulatedLoop(speed, start)) as runner:
        return runner.run(work)
