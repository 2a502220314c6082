"""Takes the snapshots of schedules when they are due, and deletes those that a schedule keeps no longer."""

from __future__ import annotations

import structlog
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.compute.v1.snapshot_schedule_pb2 import SnapshotSchedule
from yandex.cloud.compute.v1.snapshot_service_pb2 import CreateSnapshotRequest

from samovar.localcloud import clock
from samovar.localcloud.api.errors import Refused
from samovar.localcloud.compute.snapshot_schedules.model import DUE, TAKEN_BY, SnapshotSchedules, expired, snapshot_name
from samovar.localcloud.compute.snapshots.model import Snapshots
from samovar.localcloud.home.home import Home
from samovar.localcloud.store.store import Store

log = structlog.get_logger(__name__)


class SnapshotScheduleController:
    """The controller makes up once for what was missed while the cloud was down."""

    def __init__(self, store: Store, home: Home) -> None:
        self._store = store
        self._schedules = SnapshotSchedules(store)
        self._snapshots = Snapshots(store, home)

    async def reconcile(self) -> None:
        now = clock.now()
        for schedule_id, due in self._store.all_noted(DUE).items():
            schedule = self._store.get(SnapshotSchedule, schedule_id)
            if schedule and due <= now:
                with self._store.transaction():
                    self._take(schedule)
                    self._schedules.plan_next(schedule)
            elif schedule and self._schedules.is_late(schedule, due):
                self._schedules.plan_next(schedule)
        for schedule in self._store.all(SnapshotSchedule):
            if schedule.status == SnapshotSchedule.ACTIVE:
                self._drop_expired(schedule, now)

    def _take(self, schedule: SnapshotSchedule) -> None:
        for disk in self._schedules.disks(schedule.id):
            try:
                self._take_one(schedule, disk)
            except Refused as error:  # a quota, or a disk that is not ready: the others get their snapshots
                log.warning("a schedule took no snapshot", schedule=schedule.id, disk=disk.id, error=str(error))

    def _take_one(self, schedule: SnapshotSchedule, disk: Disk) -> None:
        """Take one snapshot. In its name the id stands for a machine or a disk without a name, which is assumed."""
        spec = schedule.snapshot_spec
        machine = self._store.must(Instance, disk.instance_ids[0]) if disk.instance_ids else Instance()
        request = CreateSnapshotRequest(
            folder_id=schedule.folder_id,
            disk_id=disk.id,
            name=snapshot_name(machine.name or machine.id, disk.name or disk.id, clock.utc_now()),
            description=spec.description,
            labels=spec.labels,
        )
        snapshot = self._snapshots.make(request)
        self._store.note(snapshot.id, TAKEN_BY, schedule.id)

    def _drop_expired(self, schedule: SnapshotSchedule, now: float) -> None:
        ready = [each for each in self._schedules.snapshots(schedule.id) if each.status == Snapshot.READY]
        for disk_id in {each.source_disk_id for each in ready}:
            for snapshot in expired(schedule, [each for each in ready if each.source_disk_id == disk_id], now):
                try:
                    self._snapshots.delete(snapshot.id)
                except Refused:  # a disk stands on it: it goes with the next look
                    continue
