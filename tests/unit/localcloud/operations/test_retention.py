"""The retention of operations and idempotency keys, and the cost of a step meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api import pipeline
from samovar.localcloud.api.pipeline import IDEMPOTENCY, KEY_RETENTION, Caller, FirstCall
from samovar.localcloud.operations import controller
from samovar.localcloud.operations import model as operations
from samovar.localcloud.operations.controller import Retention
from samovar.localcloud.operations.model import RESOURCE, RETENTION, WAITS_FOR, Goal, Operations, WaitsFor
from samovar.localcloud.store.store import Store

CALLER = Caller("aje1")


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    created = Clock()
    for module in (controller, operations, pipeline):
        monkeypatch.setattr(module, "now", created)
    return created


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    created = Store(tmp_path / "cloud.sqlite")
    yield created
    created.close()


def rows(store: Store) -> int:
    return sum(int(store._read(f"SELECT count(*) FROM {table}", ())[0][0]) for table in ("resource", "note", "expiry"))  # noqa: S608 - tables of ours


async def test_a_done_operation_goes_after_a_week_and_one_that_is_pending_never(store: Store, clock: Clock) -> None:
    created, keeping = Operations(store), Retention(store)
    before = rows(store)
    disk = Disk(id="fhm1")
    done = created.done(CALLER, "d", Empty(), disk)
    pending = created.waiting(CALLER, "w", Empty(), disk, Goal.READY)
    clock.time += RETENTION - 1
    await keeping.reconcile()
    assert store.get(Operation, done.id)
    assert len(created.of_resource("fhm1")) == 2
    clock.time += 2 + controller.PERIOD
    await keeping.reconcile()
    assert store.get(Operation, done.id) is None
    assert [actual.id for actual in created.of_resource("fhm1")] == [pending.id]
    created.finish(pending.id, disk)
    clock.time += RETENTION + controller.PERIOD
    await keeping.reconcile()
    assert rows(store) == before


async def test_a_clock_that_is_set_back_stops_no_deletion(store: Store, clock: Clock) -> None:
    keeping = Retention(store)
    await keeping.reconcile()
    clock.time -= 2 * RETENTION
    done = Operations(store).done(CALLER, "d", Empty(), Disk(id="fhm1"))
    clock.time += RETENTION + 1
    await keeping.reconcile()
    assert store.get(Operation, done.id) is None


async def test_operations_of_an_older_store_get_a_date(store: Store, clock: Clock) -> None:
    for number in range(controller.BATCH + 10):
        store.put(Operation(id=f"fhm{number}", done=True))
        store.note(f"fhm{number}", RESOURCE, "x")
    store.put(Operation(id="waiting"))
    store.note("waiting", WAITS_FOR, WaitsFor(kind="", id="", goal=""))
    store.note("idempotency/a/b/c", IDEMPOTENCY, FirstCall(id="fhm1", request=""))
    keeping = Retention(store)
    clock.time += KEY_RETENTION
    await keeping.reconcile()
    assert store.noted("idempotency/a/b/c", IDEMPOTENCY) is None
    assert len(store.ids(Operation)) == controller.BATCH + 11
    clock.time += RETENTION
    for _ in range(2):
        await keeping.reconcile()
    assert store.ids(Operation) == ["waiting"]


def test_pending_operations_are_read_by_an_index_however_many_are_done(store: Store) -> None:
    plan = store._read("EXPLAIN QUERY PLAN SELECT id, value FROM note WHERE key = ?", (WAITS_FOR.name,))
    assert "note_by_key" in str(plan)
