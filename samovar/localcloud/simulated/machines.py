"""Simulated machines and their files: each machine is a state, kept in the home, so that it outlives the daemon."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from enum import Enum, auto
from pathlib import Path

from samovar.localcloud import clock
from samovar.localcloud.disks.freeze import Freeze
from samovar.localcloud.disks.sparse import refresh
from samovar.localcloud.machines.machine_faults import MachineFault
from samovar.localcloud.machines.model import Machine, Observed


@dataclass(frozen=True)
class Pace:
    """The seconds that things take: until init runs, from then until the service answers, and a shutdown."""

    start: float = 0.2
    boot: float = 1.3
    stop: float = 0.5


IMMEDIATE = Pace(0, 0, 0)
FREEZE_SECONDS = 0.5
"""Seconds that a snapshot of a machine's disk reports to have taken."""


class Answer(Enum):
    """The answer of a machine to a connection to one of its ports."""

    SILENCE = auto()
    REFUSAL = auto()
    ERROR = auto()
    SUCCESS = auto()


class SimulatedDriver:
    """A driver whose machines are states, in `<folder>/<id>/state.json`; without a folder they are in memory alone.

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

    def end_starts(self) -> None:
        """Do nothing: each start is under way as soon as it is asked for."""

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
        """End a machine as a power cut does."""
        self.become(machine_id, Observed(running=False))

    def become(self, machine_id: str, observed: Observed) -> None:
        self.machines[machine_id] = observed
        if self._folder:
            file = self._folder / machine_id / "state.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(asdict(observed)))

    def answer(self, machine_id: str | None, port: int) -> Answer:
        """Return the answer at a machine's port now; at an address that no machine has, silence."""
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

    def cpu_seconds(self, machine_id: str) -> float | None:  # noqa: ARG002 - the contract's
        return None

    def processes(self, machine_id: str, unit: str) -> tuple[int, ...]:  # noqa: ARG002 - the contract's
        return ()

    def kill_processes(self, machine_id: str, unit: str) -> None:
        """Do nothing: there are none."""

    async def cause(self, machine_id: str, fault: MachineFault) -> None:  # noqa: ARG002 - whatever it is, it is sick
        self.failing.add(machine_id)

    async def end(self, machine_id: str, fault: MachineFault) -> None:  # noqa: ARG002 - the contract's
        self.failing.discard(machine_id)

    @asynccontextmanager
    async def frozen(self, machine_id: str, disk: Path) -> AsyncIterator[Freeze]:  # noqa: ARG002 - the contract's
        running = self.machines.get(machine_id, Observed(running=False)).running
        yield Freeze(FREEZE_SECONDS if running else 0.0)

    def thaw(self, machine_id: str, disk: Path) -> None:
        """Do nothing: no disk is ever frozen."""

    def console(self, machine_id: str) -> bytes:
        return f"console of {machine_id}, a simulated machine\n".encode()

    async def close(self) -> None:
        for machine_id in tuple(self.machines):
            await self.remove(machine_id)


def _read(folder: Path) -> dict[str, Observed]:
    """Return the machines of an earlier run of the daemon. One whose state was being written is dead."""
    return {file.parent.name: _observed(file) for file in folder.glob("*/state.json")}


def _observed(file: Path) -> Observed:
    try:
        return Observed(**json.loads(file.read_text()))
    except (ValueError, TypeError):
        return Observed(running=False)


IMAGE_SIZE = 64 << 20
"""Bytes of an image of which nothing is known but its uri; sparse."""


class SimulatedDiskBuilder:
    """A builder of files that hold nothing but a few words, which tell them apart.

    They boot simulated machines alone. With `any_uri` there is an image behind each uri.
    """

    def __init__(self, *, any_uri: bool = False) -> None:
        self._any_uri = any_uri

    async def make_public_image(self, suite: str, out: Path) -> None:
        _write(out, f"standard {suite}".encode())

    async def merge(self, image: Path, disk: Path, out: Path) -> None:
        _write(out, _read_file(image) + b" changed by " + disk.stem.encode())

    async def copy(self, source: Path, out: Path, size: int = 0) -> None:
        _copy(source, out)
        os.truncate(out, max(size, source.stat().st_size))  # noqa: ASYNC240 - at once

    async def copy_consistently(self, source: Path, out: Path, frozen: AbstractAsyncContextManager[Freeze]) -> float:
        async with frozen as freeze:
            _copy(source, out)
        return freeze.seconds

    def fetch(self, uri: str, out: Path) -> bool:  # noqa: ARG002 - any uri is as good as another
        if not self._any_uri:
            return False
        with out.open("xb") as file:
            os.truncate(file.fileno(), IMAGE_SIZE)
        return True


def _copy(source: Path, out: Path) -> None:
    """Disks are large, and hold next to nothing."""
    partial = out.with_suffix(".new")
    partial.touch()
    refresh(source, partial)
    partial.replace(out)


def _read_file(path: Path) -> bytes:
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
