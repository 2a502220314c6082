"""Makes the stub fail: after a time that instances started together share, or on request."""

from __future__ import annotations

import asyncio
import os
import random
import time
from dataclasses import dataclass

from .log import Log
from .settings import Fault, Settings

START_WINDOW = 10
"""Seconds; instances started within the same window fail at the same time and in the same way."""
MIB = 1 << 20
ALLOCATIONS_A_SECOND = 4


@dataclass(frozen=True)
class PlannedFailure:
    """A failure `after` so many seconds; `code` is the exit code if the fault ends the process."""

    after: float
    fault: Fault
    code: int


def planned_failure(started: float, settings: Settings) -> PlannedFailure | None:
    """Return the failure of an instance started at `started` (seconds since 1970), or None if it never fails."""
    if settings.lifetime is None or not settings.faults:
        return None
    generator = random.Random(int(started // START_WINDOW))  # noqa: S311 - no secret
    return PlannedFailure(
        generator.uniform(*settings.lifetime), generator.choice(settings.faults), generator.choice((0, 1))
    )


class FaultInjector:
    """Injects faults into this process; while `failing`, it answers 500 to every request."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self.failing = False
        self._settings = settings
        self._log = log
        self._allocated: list[bytearray] = []
        self._growth: asyncio.Task[None] | None = None

    async def run_timer(self) -> None:
        """Wait for the planned failure, if there is one, and inject it."""
        if failure := planned_failure(time.time(), self._settings):
            await asyncio.sleep(failure.after)
            self.inject(failure.fault, failure.code)

    def inject(self, fault: Fault, code: int = 1) -> None:
        """Inject one fault. It does not return if the fault ends the process."""
        match fault:
            case Fault.EXIT:
                os._exit(code)
            case Fault.DIE:
                self._log.write("fatal", "We all die")
                print("We all die", flush=True)  # noqa: T201 - so does the binary
                os._exit(code)
            case Fault.BAD:
                self._log.write("error", "I feel bad")
                self.failing = True
            case Fault.MEMORY:
                self._growth = self._growth or asyncio.create_task(self._grow())

    async def _grow(self) -> None:
        """Allocate memory for ever. A page counts only when it has been written to."""
        while True:
            self._allocated.append(bytearray(b"\xff") * (self._settings.growth * MIB // ALLOCATIONS_A_SECOND))
            await asyncio.sleep(1 / ALLOCATIONS_A_SECOND)
