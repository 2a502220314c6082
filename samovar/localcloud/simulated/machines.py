"""A machine driver without machines: each is a state, which is kept in the home and so outlives the daemon."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from enum import Enum, auto
from pathlib import Path

from samovar.localcloud import clock
from samovar.localcloud.disks.freeze import Freeze
from samovar.localcloud.machines.model import Machine, Observed


@dataclass(frozen=True)
class Pace:
    """How long things take, in seconds: until init runs, from then until the service answers, and a shutdown."""

    start: float = 0.2
    boot: float = 1.3
    stop: float = 0.5


IMMEDIATE = Pace(0, 0, 0)
STANDSTILL = 0.5
"""Seconds that a snapshot of a machine's disk is said to have taken."""


class Answer(Enum):
    """What somebody hears who connects to a port of a machine."""

    SILENCE = auto()
    REFUSAL = auto()
    ERROR = auto()
    SUCCESS = auto()


class SimulatedDriver:
    """`folder` holds a machine's state in `<id>/state.json`; without one it is kept in memory alone.

    `closed_ports` are ports at which no machine listens, `failing` the machines whose service answers with an error,
    `asked_ports` how often each port was asked.
    """

    def __init__(self, folder: Path | None = None, pace: Pace = IMMEDIATE) -> None:
        self.machines: dict[str, Observed] = _read(folder) if folder else {}
        self.closed_ports: set[int] = set()
        self.failing: set[str] = set()
        self.asked_ports: Counter[int] = Counter()
        self._folder = folder
        self._pace = pace
        self._ready_at: dict[str, float] = {}

    async def start(self, machine: Machine) -> None:
        await asyncio.sleep(self._pace.start)
        machine.boot_disk.touch()
        self._ready_at[machine.id] = clock.now() + self._pace.boot
        self.become(machine.id, Observed(running=True))

    async def stop(self, machine_id: str, *, grace: float = 30.0) -> None:
        await asyncio.sleep(min(self._pace.stop, grace))
        self.become(machine_id, Observed(running=False, exit_code=0))

    async def kill(self, machine_id: str) -> None:
        self.crash(machine_id)

    async def remove(self, machine_id: str) -> None:
        self.machines.pop(machine_id, None)
        self.failing.discard(machine_id)
        self._ready_at.pop(machine_id, None)
        if self._folder:
            shutil.rmtree(self._folder / machine_id, ignore_errors=True)

    def crash(self, machine_id: str) -> None:
        """The machine ends without a word, as by a power cut."""
        self.become(machine_id, Observed(running=False))

    def become(self, machine_id: str, observed: Observed) -> None:
        self.machines[machine_id] = observed
        if self._folder:
            file = self._folder / machine_id / "state.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(asdict(observed)))

    def answer(self, machine_id: str | None, port: int) -> Answer:
        """What is heard at a machine's port now; at an address that no machine has, nothing."""
        self.asked_ports[port] += 1
        if machine_id is None or not self.machines.get(machine_id, Observed(running=False)).running:
            return Answer.SILENCE
        if port in self.closed_ports or clock.now() < self._ready_at.get(machine_id, 0):
            return Answer.REFUSAL
        return Answer.ERROR if machine_id in self.failing else Answer.SUCCESS

    def observe(self) -> Mapping[str, Observed]:
        return dict(self.machines)

    def host_users(self) -> Mapping[str, str]:
        return {}

    def processes(self, machine_id: str, unit: str) -> tuple[int, ...]:  # noqa: ARG002 - the contract's
        return ()

    def kill_processes(self, machine_id: str, unit: str) -> None:
        """There are none."""

    @asynccontextmanager
    async def frozen(self, machine_id: str, disk: Path) -> AsyncIterator[Freeze]:  # noqa: ARG002 - the contract's
        running = self.machines.get(machine_id, Observed(running=False)).running
        yield Freeze(STANDSTILL if running else 0.0)

    def thaw(self, machine_id: str, disk: Path) -> None:
        """Nothing is ever frozen."""

    def console(self, machine_id: str) -> bytes:
        return f"console of {machine_id}, a simulated machine\n".encode()

    async def close(self) -> None:
        for machine_id in tuple(self.machines):
            await self.remove(machine_id)


def _read(folder: Path) -> dict[str, Observed]:
    """What an earlier run of the daemon left. A state that was being written is that of a machine that is dead."""
    return {file.parent.name: _observed(file) for file in folder.glob("*/state.json")}


def _observed(file: Path) -> Observed:
    try:
        return Observed(**json.loads(file.read_text()))
    except (ValueError, TypeError):
        return Observed(running=False)
