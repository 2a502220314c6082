"""Snapshot schedules in the store: their disks, when the next snapshots are due, and which snapshots they took."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.compute.v1.snapshot_schedule_pb2 import SchedulePolicy, SnapshotSchedule

from samovar.core.cron import check_cron, next_match
from samovar.localcloud import clock
from samovar.localcloud.api.errors import invalid
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository, require
from samovar.localcloud.store.ids import ALPHABET
from samovar.localcloud.store.store import NoteKey

DISKS = NoteKey[list[str]]("schedule.disks")
"""A note on a schedule: the ids of its disks, which its message does not have."""
DUE = NoteKey[float]("schedule.due")
"""A note on a schedule: when it takes the next snapshots, in seconds since 1970."""
TAKEN_BY = NoteKey[str]("snapshot.schedule")
"""A note on a snapshot: the schedule that took it."""
UNATTACHED = "unattached"
"""Stands in the name of a snapshot of a disk that no machine has."""


class SnapshotSchedules(Repository[SnapshotSchedule]):
    """The schedules of all folders. The bound on their number is assumed."""

    kind, id_prefix = SnapshotSchedule, "fc8"
    count_quota = Quota("compute.snapshotSchedules.count", SnapshotSchedule, 32)

    def disks(self, schedule_id: str) -> list[Disk]:
        """Return the disks of a schedule that still exist."""
        ids = self.store.noted(schedule_id, DISKS, [])
        return [disk for disk_id in ids if (disk := self.store.get(Disk, disk_id))]

    def attach(self, schedule_id: str, disk_ids: list[str]) -> None:
        """Set the disks of a schedule. Raises NOT_FOUND for a disk that does not exist."""
        for disk_id in disk_ids:
            require(self.store, Disk, disk_id)
        self.store.note(schedule_id, DISKS, list(dict.fromkeys(disk_ids)))

    def snapshots(self, schedule_id: str) -> list[Snapshot]:
        """Return the snapshots that a schedule took, the oldest first."""
        taken = (self.store.get(Snapshot, each) for each in self.store.ids_noted(TAKEN_BY, schedule_id))
        return sorted((each for each in taken if each), key=lambda each: (each.created_at.ToNanoseconds(), each.id))

    def plan_next(self, schedule: SnapshotSchedule) -> None:
        """Note when the schedule takes its next snapshots; one that is not active, or is over, takes none."""
        due = next_due(schedule, clock.utc_now())
        if schedule.status == SnapshotSchedule.ACTIVE and due:
            self.store.note(schedule.id, DUE, due.timestamp())
        else:
            self.store.forget(schedule.id, DUE)

    def is_late(self, schedule: SnapshotSchedule, due: float) -> bool:
        """Return whether `due` lies after the next moment of the policy: the clock was set back since it was noted."""
        following = next_due(schedule, clock.utc_now())
        return following is not None and following.timestamp() < due


def snapshot_name(machine: str, disk: str, taken: datetime) -> str:
    """Return the name of a snapshot (documentation, compute/concepts/snapshot-schedule), which has a random end."""
    end = "".join(secrets.choice(ALPHABET) for _ in range(4))
    return "_".join((machine[:24] or UNATTACHED, disk[:20], f"{taken:%Y%m%d%H%M}", end))


def check_policy(policy: SchedulePolicy) -> None:
    """Refuse an expression that is no cron expression. The text is assumed."""
    if policy.expression:
        try:
            check_cron(policy.expression)
        except ValueError as error:
            raise invalid(str(error), "schedule_policy.expression") from error


def next_due(schedule: SnapshotSchedule, now: datetime) -> datetime | None:
    """Return the next moment of a schedule: its `start_at` is that of the first snapshots.

    One that is not after the schedule's creation is none: with a clock that was set back it would lie ahead.
    """
    policy = schedule.schedule_policy
    start = policy.start_at.ToDatetime(tzinfo=UTC)
    if start > max(now, schedule.created_at.ToDatetime(tzinfo=UTC)):
        return start
    return next_match(policy.expression, now) if policy.expression else None


def expired(schedule: SnapshotSchedule, snapshots: list[Snapshot], now: float) -> list[Snapshot]:
    """Return those of one disk's snapshots, the oldest first, that a schedule keeps no longer.

    `snapshot_count` is counted for each disk (documentation, compute/concepts/snapshot-schedule).
    """
    kept = schedule.WhichOneof("retention_policy")
    if kept == "snapshot_count" and schedule.snapshot_count:
        return snapshots[: -schedule.snapshot_count]
    if kept == "retention_period":
        oldest = now - schedule.retention_period.ToTimedelta().total_seconds()
        return [each for each in snapshots if each.created_at.ToNanoseconds() / 1e9 <= oldest]
    return []
