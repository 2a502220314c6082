"""Hours of a local cloud's life on simulated machines, and what it takes before and after: files, rows, memory."""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from yandex.cloud.compute.v1.disk_service_pb2 import CreateDiskMetadata, CreateDiskRequest, DeleteDiskRequest
from yandex.cloud.compute.v1.image_service_pb2 import CreateImageMetadata, CreateImageRequest, DeleteImageRequest
from yandex.cloud.compute.v1.instance_service_pb2 import ListInstancesRequest
from yandex.cloud.lockbox.v1.secret_service_pb2 import CreateSecretMetadata, CreateSecretRequest, DeleteSecretRequest

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.home.home import Home
from samovar.localcloud.simulated.event_loop import SimulatedLoop
from samovar.localcloud.simulated.machines import Pace
from tests.support.in_process import ZONE, InProcess, Service, in_process, service, until

HOUR = 3600.0
SIZE = 3
LOGS = {"calls.jsonl", "calls.jsonl.1", "daemon.log", "daemon.log.1"}
"""Files with a bound of their own."""
KEPT_FOR = 8 * 24 * HOUR
"""Seconds after which nothing of the past is kept: done operations, a week."""


@dataclass(frozen=True)
class Footprint:
    """The resources of the host that the cloud holds at one moment: counts, and `resident` in MiB."""

    descriptors: int
    tasks: int
    files: int
    resources: int
    operations: int
    notes: int
    resident: float

    def row(self) -> str:
        """Return it as a row of a Markdown table."""
        values = (getattr(self, each.name) for each in fields(self))
        return " | ".join(f"{value:.1f}" if isinstance(value, float) else str(value) for value in values)


HEADINGS = " | ".join(each.name for each in fields(Footprint))


def footprint(world: InProcess) -> Footprint:
    """Return the present footprint of this process and of the home."""
    gc.collect()
    kinds = Counter(dict(_counted(world, "SELECT kind, COUNT(*) FROM resource GROUP BY kind")))
    operations = kinds.pop("yandex.cloud.operation.Operation", 0)
    return Footprint(
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        tasks=len(asyncio.all_tasks()),
        files=len([file for file in world.home.root.rglob("*") if file.is_file() and file.name not in LOGS]),
        resources=kinds.total(),
        operations=operations,
        notes=dict(_counted(world, "SELECT 'all', COUNT(*) FROM note"))["all"],
        resident=_resident(),
    )


def _counted(world: InProcess, query: str) -> Iterator[tuple[str, int]]:
    yield from world.cloud.store._db.execute(query).fetchall()


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class LongRun:
    """Does what operators, machines and clients do in an hour, in an order that a seed decides."""

    def __init__(self, world: InProcess, web: Service, seed: int, length: float) -> None:
        """`length` is that of an hour, in seconds: a shorter one has less of idling and load."""
        self._world = world
        self._web = web
        self._length = length
        self._random = random.Random(seed)  # noqa: S311 - a sequence that can be repeated, not a secret
        self.calls = 0

    async def hour(self, number: int) -> None:
        """A rollout, deaths of each kind, and load; the rest of the hour nothing happens."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._length
        load = asyncio.create_task(self._load())
        acts: list[Callable[[], Coroutine[Any, Any, None]]] = [
            partial(self._web.roll, f"hour {number}"),
            self._crash,
            self._cut_power,
            self._fall_ill,
            self._resize,
            self._make_and_delete,
        ]
        self._random.shuffle(acts)
        for act in acts:
            await act()
            await until("healthy", partial(self._web.is_healthy, SIZE))
        await asyncio.sleep(ends - loop.time())
        load.cancel()
        with suppress(asyncio.CancelledError):
            await load

    async def _crash(self) -> None:
        await self._loses(self._world.driver.crash)

    async def _fall_ill(self) -> None:
        """It runs, and answers its checks with an error until it is made anew."""
        await self._loses(self._world.driver.failing.add)

    async def _cut_power(self) -> None:
        victim = self._any_machine()
        await self._world.cloud.cut_power(victim)
        await self._replaced(victim)

    async def _loses(self, act: Callable[[str], None]) -> None:
        victim = self._any_machine()
        act(victim)
        await self._replaced(victim)

    async def _replaced(self, victim: str) -> None:
        await until("made anew", lambda: victim not in {member.instance_id for member in self._web.members()})

    def _any_machine(self) -> str:
        return self._random.choice([member.instance_id for member in self._web.members()])

    async def _resize(self) -> None:
        await self._web.resize(SIZE + 1)
        await self._web.resize(SIZE)

    async def _make_and_delete(self) -> None:
        """A secret, as each rollout's lock is one; a disk, and an image made of it."""
        world, folder_id = self._world, self._world.folder_id
        secret = await world.create(
            "lockbox.v1.SecretService/Create",
            CreateSecretRequest(folder_id=folder_id, name="lock"),
            CreateSecretMetadata,
            "secret_id",
        )
        await world.done("lockbox.v1.SecretService/Delete", DeleteSecretRequest(secret_id=secret))
        disk = await world.create(
            "compute.v1.DiskService/Create",
            CreateDiskRequest(folder_id=folder_id, zone_id=ZONE, size=4 << 20),
            CreateDiskMetadata,
            "disk_id",
        )
        image = await world.create(
            "compute.v1.ImageService/Create",
            CreateImageRequest(folder_id=folder_id, name="copy", disk_id=disk),
            CreateImageMetadata,
            "image_id",
        )
        await world.done("compute.v1.ImageService/Delete", DeleteImageRequest(image_id=image))
        await world.done("compute.v1.DiskService/Delete", DeleteDiskRequest(disk_id=disk))

    async def _load(self) -> None:
        """Send reads, calls that are refused, calls of strangers, and one that comes again with its key."""
        listing = ListInstancesRequest(folder_id=self._world.folder_id)
        while True:
            self._call("compute.v1.InstanceService/List", listing)
            self._call("compute.v1.InstanceService/List", listing, token="t1.stranger.")
            self._call("compute.v1.DiskService/Delete", DeleteDiskRequest(disk_id="nobodys"))
            self._repeat(f"key-{self.calls}")
            await asyncio.sleep(10)

    def _repeat(self, key: str) -> None:
        request = CreateSecretRequest(folder_id=self._world.folder_id, name="again")
        created, again = (self._world.call("lockbox.v1.SecretService/Create", request, key=key) for _ in range(2))
        assert created.id == again.id
        secret = CreateSecretMetadata.FromString(created.metadata.value).secret_id
        self._world.call("lockbox.v1.SecretService/Delete", DeleteSecretRequest(secret_id=secret))

    def _call(self, method: str, request: Message, *, token: str | None = None) -> None:
        self.calls += 1
        with suppress(Refused):
            self._world.call(method, request, token=token)


async def live(folder: Path, hours: int, *, seed: int = 0, length: float = HOUR) -> list[Footprint]:
    """Return the footprint after a first hour, after each of `hours` more, and at the end, when the past is forgotten.

    The end is an hour that begins `KEPT_FOR` later.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    async with in_process(Home(folder), Pace()) as world:
        run = LongRun(world, await service(world, size=SIZE), seed, length)
        observed = []
        for number in range(1 + hours):
            await run.hour(number)
            observed.append(footprint(world))
        loop.set_date_forward(KEPT_FOR)
        await run.hour(1 + hours)
        return [*observed, footprint(world)]
