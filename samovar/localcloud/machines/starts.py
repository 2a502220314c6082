"""Starts machines a few at a time: those that run stay healthy, and the daemon is heard, while many others boot.

A boot takes some two seconds of processor time. Sixty at once on two cores would take two minutes each, in which every
health check of each of them and of all that served before fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from samovar.localcloud.machines import cgroups

LEAST_TURNS = 6
"""So many boot side by side on any host, for much of a boot is waiting: a small environment with its monitoring."""
LOOK = 0.5
"""Seconds between two looks at the processor time of a machine that boots."""
AT_REST = 0.1
"""A machine has booted once it uses and waits for a processor for less than this share of the time."""
LONGEST_BOOT = 60.0
"""Seconds after which a machine counts as booted, whatever its programs do."""


class Starts:
    """Hands out turns, two a core. A turn lasts until the machine has booted, not only until its init runs."""

    def __init__(self, processors: int) -> None:
        self._turns = asyncio.Semaphore(max(LEAST_TURNS, 2 * processors))
        self._booting: set[asyncio.Task[None]] = set()
        self._ended = False
        self.under_way = 0

    @asynccontextmanager
    async def turn(self, unit: Path) -> AsyncIterator[None]:
        """Wait for a turn, in which the caller starts the machine of that control group.

        Raises CancelledError once starts have ended: the machine is left as it is, to be started another day.
        """
        await self._turns.acquire()
        self.under_way += 1
        if self._ended:
            self._end_turn()
            raise asyncio.CancelledError
        try:
            yield
        except BaseException:
            self._end_turn()
            raise
        booting = asyncio.create_task(_booted(unit))
        self._booting.add(booting)
        booting.add_done_callback(self._has_booted)

    def end(self) -> None:
        """Give no turn any more, and wait for no boot."""
        self._ended = True
        for booting in self._booting:
            booting.cancel()

    def _has_booted(self, booting: asyncio.Task[None]) -> None:
        self._booting.discard(booting)
        self._end_turn()

    def _end_turn(self) -> None:
        self.under_way -= 1
        self._turns.release()


async def _booted(unit: Path) -> None:
    """Return once the machine is at rest, has ended, or has taken too long."""
    busy = _busy_seconds(unit)
    for _ in range(round(LONGEST_BOOT / LOOK)):
        await asyncio.sleep(LOOK)
        before, busy = busy, _busy_seconds(unit)
        if busy - before < AT_REST * LOOK:
            return


def _busy_seconds(unit: Path) -> float:
    """A machine that waits for a processor boots as well: a busy host must not look like one that has booted."""
    return cgroups.cpu_seconds(unit) + cgroups.waited_seconds(unit)
