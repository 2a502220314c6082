"""Every method of the API, called with random requests: none is a defect, and what was refused changes nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from google.protobuf.descriptor import MethodDescriptor
from google.rpc.code_pb2 import Code
from structlog.testing import capture_logs
from yandex.cloud.compute.v1.image_service_pb2 import CreateImageRequest

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.api.pipeline import Call
from samovar.localcloud.home.home import Home
from tests.support.images import URI
from tests.support.in_process import InProcess, in_process, service
from tests.support.random_requests import RandomRequests

SEED = 20260126
ROUNDS = 24
WILDNESS = (0.0, 0.0, 0.03, 0.2)
"""Shares of fields that keep to no constraint, in turn: half of the requests break none."""


async def test_random_requests_cause_no_internal_error_and_refused_ones_change_nothing(tmp_path: Path) -> None:
    with capture_logs() as log:
        async with in_process(Home(tmp_path / "home")) as world:
            await _populate(world)
            with closing(sqlite3.connect(world.home.database)) as database:
                problems = await _call_everything(world, database)
            await asyncio.sleep(2)  # what was accepted is acted upon
    assert problems == []
    assert [line for line in log if line["log_level"] in {"error", "critical"}] == []


async def _populate(world: InProcess) -> None:
    """Some of each thing, so that requests find something."""
    await service(world, size=2)
    world.call("compute.v1.ImageService/Create", CreateImageRequest(folder_id=world.folder_id, name="a", uri=URI))


async def _call_everything(world: InProcess, database: sqlite3.Connection) -> list[str]:
    """Return the problems; the loop of the cloud takes its steps between two rounds."""
    requests, wrong = RandomRequests(SEED, lambda kind: _ids(database, kind)), list[str]()
    methods = sorted(filter(world.cloud.api.serves, world.cloud.api.methods.values()), key=lambda each: each.full_name)
    assert len(methods) > 150
    for turn in range(ROUNDS):
        for method in methods:
            wrong += _call(world, database, method, requests, WILDNESS[turn % len(WILDNESS)])
        await asyncio.sleep(0.02)
    return wrong


def _call(
    world: InProcess, database: sqlite3.Connection, method: MethodDescriptor, requests: RandomRequests, wild: float
) -> Iterator[str]:
    request = requests.request(method.input_type, wild=wild)
    before = _state(world, database)
    try:
        world.cloud.api.call(Call(method, request, world.token))
    except Refused as refused:
        if refused.code == Code.INTERNAL:
            yield f"{method.full_name}: {refused.message}: {request!s:.600}"
        if _state(world, database) != before:
            yield f"{method.full_name} was refused and changed something: {refused.message}"


def _state(world: InProcess, database: sqlite3.Connection) -> tuple[int, list[Path]]:
    """A number that grows with each change that is committed to the store, and the files of disks and images."""
    ((version,),) = database.execute("PRAGMA data_version")
    return version, sorted([*world.home.disks.iterdir(), *world.home.images.iterdir()])


def _ids(database: sqlite3.Connection, kind: str) -> list[str]:
    """The ids of one kind, such as `Subnet`; of everything where there is none named."""
    like = f"%.{kind}" if kind else "%"
    return [row[0] for row in database.execute("SELECT id FROM resource WHERE kind LIKE ? ORDER BY id", (like,))]
