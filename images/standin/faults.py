"""How it fails: at its own time, which is the same for instances that are started together, or when told to."""

from __future__ import annotations

import asyncio
import os
import random
import time
from dataclasses import dataclass

from .log import Log
from .tuning import Fault, Tuning

TOGETHER = 10
"""Instances started within the same so many seconds share their fate."""
MIB = 1 << 20
STEPS = 4  # of growth a second


@dataclass(frozen=True)
class Fate:
    """What happens, after how many seconds; `code` is what the process then ends with, if it ends by itself."""

    after: float
    fault: Fault
    code: int


def fate(started: float, tuning: Tuning) -> Fate | None:
    """Of an instance started at `started` (seconds since 1970); None: nothing ever happens."""
    if tuning.lifetime is None or not tuning.faults:
        return None
    dice = random.Random(int(started // TOGETHER))  # noqa: S311 - a fate is no secret
    return Fate(dice.uniform(*tuning.lifetime), dice.choice(tuning.faults), dice.choice((0, 1)))


class Faults:
    """`bad`: it lives, and answers 500 to everything."""

    def __init__(self, tuning: Tuning, log: Log) -> None:
        self.bad = False
        self._tuning = tuning
        self._log = log
        self._hoard: list[bytearray] = []
        self._growing: asyncio.Task[None] | None = None

    async def clock(self) -> None:
        """Fails at its time."""
        if found := fate(time.time(), self._tuning):
            await asyncio.sleep(found.after)
            self.provoke(found.fault, found.code)

    def provoke(self, fault: Fault, code: int = 1) -> None:
        """Does not return where the process ends at once."""
        match fault:
            case Fault.EXIT:
                os._exit(code)
            case Fault.DIE:
                self._log.write("fatal", "We all die")
                print("We all die", flush=True)  # noqa: T201 - so does the binary
                os._exit(code)
            case Fault.BAD:
                self._log.write("error", "I feel bad")
                self.bad = True
            case Fault.MEMORY:
                self._growing = self._growing or asyncio.create_task(self._grow())

    async def _grow(self) -> None:
        """Pages count once they are written to."""
        while True:
            self._hoard.append(bytearray(b"\xff") * (self._tuning.growth * MIB // STEPS))
            await asyncio.sleep(1 / STEPS)
