"""Snapshot schedules by the API: snapshots come by the clock, the oldest go, and a disabled schedule does nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1 import snapshot_schedule_service_pb2 as rpc
from yandex.cloud.compute.v1 import snapshot_service_pb2 as snapshots
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.compute.v1.snapshot_schedule_pb2 import SchedulePolicy, SnapshotSchedule, SnapshotSpec
from yandex.cloud.compute.v1.snapshot_schedule_service_pb2_grpc import SnapshotScheduleServiceStub
from yandex.cloud.compute.v1.snapshot_service_pb2_grpc import SnapshotServiceStub

from samovar.core.constants import MIB
from samovar.localcloud import clock
from samovar.localcloud.compute.snapshot_schedules.model import DUE, snapshot_name
from tests.support.calls import code_of
from tests.support.simulated import RunningCloud
from tests.support.wait import wait_until

HOUR = 3600.0
DAY = 24 * HOUR


class Client:
    """The calls of these tests, short, and a clock that can be put forward."""

    def __init__(self, cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch) -> None:
        channel = cloud.channel()
        self.folder = cloud.endpoint.folder_id
        self.schedules = SnapshotScheduleServiceStub(channel)
        self._disks, self._snapshots = DiskServiceStub(channel), SnapshotServiceStub(channel)
        self._ahead = 0.0
        real: Callable[[], float] = clock.now
        monkeypatch.setattr(clock, "now", lambda: real() + self._ahead)

    def pass_time(self, seconds: float) -> None:
        self._ahead += seconds

    def disk(self) -> str:
        request = disks.CreateDiskRequest(folder_id=self.folder, zone_id="ru-central1-a", size=4 * MIB)
        operation = self._disks.Create(request)
        return disks.CreateDiskMetadata.FromString(operation.metadata.value).disk_id

    def create(self, *disk_ids: str, expression: str = "@hourly", count: int = 2) -> SnapshotSchedule:
        request = rpc.CreateSnapshotScheduleRequest(
            folder_id=self.folder,
            name="nightly",
            schedule_policy=SchedulePolicy(expression=expression),
            snapshot_count=count,
            snapshot_spec=SnapshotSpec(description="by the clock", labels={"env": "dev"}),
            disk_ids=disk_ids,
        )
        return SnapshotSchedule.FromString(self.schedules.Create(request).response.value)

    def taken(self, schedule_id: str) -> list[Snapshot]:
        request = rpc.ListSnapshotScheduleSnapshotsRequest(snapshot_schedule_id=schedule_id)
        return [each for each in self.schedules.ListSnapshots(request).snapshots if each.status == Snapshot.READY]

    def all_snapshots(self) -> list[Snapshot]:
        return list(self._snapshots.List(snapshots.ListSnapshotsRequest(folder_id=self.folder)).snapshots)


@pytest.fixture
def client(cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(cloud, monkeypatch)


def test_snapshots_are_taken_by_schedule_and_the_oldest_are_deleted(client: Client) -> None:
    first, second = client.disk(), client.disk()
    schedule = client.create(first, second)
    assert (schedule.status, schedule.snapshot_count) == (SnapshotSchedule.ACTIVE, 2)
    assert schedule.schedule_policy.HasField("start_at")
    assert client.taken(schedule.id) == []
    client.pass_time(HOUR)
    wait_until("the first ones", lambda: len(client.taken(schedule.id)) == 2)
    oldest = {each.id for each in client.taken(schedule.id)}
    client.pass_time(HOUR)
    wait_until("the second ones", lambda: len(client.taken(schedule.id)) == 4)
    client.pass_time(HOUR)
    wait_until("the first ones gone", lambda: not oldest & {each.id for each in client.all_snapshots()})
    wait_until("the third ones", lambda: len(client.taken(schedule.id)) == 4)
    taken = client.taken(schedule.id)
    assert sorted(each.source_disk_id for each in taken) == sorted([first, first, second, second])
    assert {(each.description, each.labels["env"]) for each in taken} == {("by the clock", "dev")}
    client.schedules.Delete(rpc.DeleteSnapshotScheduleRequest(snapshot_schedule_id=schedule.id))
    assert len(client.all_snapshots()) == 4, "what a schedule took outlives it"


def test_a_snapshot_is_named_after_its_machine_its_disk_and_its_time(client: Client) -> None:
    disk_id = client.disk()
    schedule = client.create(disk_id)
    client.pass_time(HOUR)
    (snapshot,) = wait_until("a snapshot", lambda: client.taken(schedule.id))
    assert re.fullmatch(rf"unattached_{disk_id}_20\d{{10}}_[a-z0-9]{{4}}", snapshot.name)
    taken = datetime(2022, 9, 1, 15, 30, tzinfo=UTC)
    named = snapshot_name("a-machine-with-a-long-name", "test-disk-with-a-long-name", taken)
    assert named.startswith("a-machine-with-a-long-na_test-disk-with-a-lon_202209011530_")


def test_a_clock_that_is_set_back_a_day_delays_no_snapshot(client: Client, cloud: RunningCloud) -> None:
    schedule = client.create(client.disk())
    client.pass_time(-DAY)
    wait_until("a new plan", lambda: due_of(cloud, schedule.id) <= clock.now() + HOUR)
    client.pass_time(HOUR)
    wait_until("a snapshot", lambda: len(client.taken(schedule.id)) == 1)


def due_of(cloud: RunningCloud, schedule_id: str) -> float:
    """Return the time of the next snapshots from the store, which answers in the cloud's own thread alone."""
    due: Future[float] = Future()
    cloud.call_soon(lambda: due.set_result(cloud.cloud.store.all_noted(DUE)[schedule_id]))
    return due.result(timeout=60)


def test_a_disabled_schedule_takes_no_snapshot_until_it_is_enabled(client: Client) -> None:
    schedule = client.create(client.disk())
    client.schedules.Disable(rpc.DisableSnapshotScheduleRequest(snapshot_schedule_id=schedule.id))
    client.pass_time(3 * HOUR)
    client.schedules.Enable(rpc.EnableSnapshotScheduleRequest(snapshot_schedule_id=schedule.id))
    assert client.all_snapshots() == []
    client.pass_time(HOUR)
    wait_until("a snapshot", lambda: len(client.taken(schedule.id)) == 1)


def test_disks_and_the_policy_can_be_changed(client: Client) -> None:
    old, new = client.disk(), client.disk()
    schedule = client.create(old)
    client.schedules.UpdateDisks(
        rpc.UpdateSnapshotScheduleDisksRequest(snapshot_schedule_id=schedule.id, remove=[old], add=[new])
    )
    listed = client.schedules.ListDisks(rpc.ListSnapshotScheduleDisksRequest(snapshot_schedule_id=schedule.id)).disks
    assert [disk.id for disk in listed] == [new]
    request = rpc.UpdateSnapshotScheduleRequest(
        snapshot_schedule_id=schedule.id, update_mask=FieldMask(paths=["schedule_policy", "retention_period"])
    )
    start = datetime.fromtimestamp(clock.now() + 60, UTC)
    request.schedule_policy.start_at.FromDatetime(start)
    request.schedule_policy.expression = "@yearly"
    request.retention_period.seconds = 600
    changed = SnapshotSchedule.FromString(client.schedules.Update(request).response.value)
    assert changed.WhichOneof("retention_policy") == "retention_period"
    client.pass_time(61)
    wait_until("the first one at its start", lambda: len(client.taken(schedule.id)) == 1)
    client.pass_time(601)
    wait_until("its end", lambda: client.all_snapshots() == [])


def test_an_impossible_schedule_is_refused(client: Client) -> None:
    assert code_of(client.create, client.disk(), expression="often") is grpc.StatusCode.INVALID_ARGUMENT
    assert code_of(client.create, "fhm-none") is grpc.StatusCode.NOT_FOUND
    client.create()
    assert code_of(client.create) is grpc.StatusCode.ALREADY_EXISTS
