"""A data disk's snapshot schedule: made, changed and deleted with its environment; it follows a restored disk."""

from __future__ import annotations

import pytest

from samovar.core.output import PlainReporter
from samovar.deploy.plan import Action
from samovar.deploy.resources.resource import Kind, Ref
from samovar.deploy.resources.snapshot_schedule import disks_of
from samovar.deploy.restore import restore
from samovar.deploy.snapshots import begin_snapshot, data_disks, find_snapshot, inventory, snapshots
from samovar.localcloud import clock
from samovar.project.data_disk import SnapshotSchedule
from samovar.project.environment import Environment
from tests.support.checkout import environment as load_environment
from tests.support.environments import changed
from tests.support.service import DISK, Service
from tests.support.wait import wait_until

SCHEDULE = Ref(Kind.SNAPSHOT_SCHEDULE, DISK.name)
DAY = 86400.0


def _dev(**schedule: object) -> Environment:
    """`dev` with that schedule for its database, or without one."""
    dev = load_environment("dev")
    disk = dev.group("postgres").data_disks["data"]
    policy = SnapshotSchedule.model_validate(schedule) if schedule else None
    database = changed(dev.group("postgres"), data_disks={"data": changed(disk, snapshot_schedule=policy)})
    return changed(dev, groups=tuple(database if each.name == "postgres" else each for each in dev.groups))


def test_a_schedule_is_created_updated_and_deleted_and_its_snapshots_are_kept(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    daily = _dev(expression="0 3 * * *", snapshot_count=7)
    service.roll_out(daily)
    assert service.plan(daily).all_steps == ()
    assert [each.schedule for each in inventory(service.session, "dev").disks] == ["0 3 * * *"]
    tomorrow = clock.now() + DAY
    monkeypatch.setattr(clock, "now", lambda: tomorrow)
    wait_until("a snapshot by the schedule", lambda: len(snapshots(service.session, "dev")) == 1)
    (taken,) = snapshots(service.session, "dev")
    assert taken.labels["group"] == "postgres"
    assert taken.name.startswith("dev-postgres-1_dev-postgres-data_")
    hourly = _dev(expression="@hourly", snapshot_count=24)
    (step,) = service.plan(hourly).all_steps
    assert (step.action, step.ref, step.reason) == (
        Action.UPDATE,
        SCHEDULE,
        "expression: 0 3 * * * -> @hourly; snapshot_count: 7 -> 24",
    )
    service.roll_out(hourly)
    assert service.plan(hourly).all_steps == ()
    (step,) = service.plan(_dev()).all_steps
    assert (step.action, step.ref) == (Action.DELETE, SCHEDULE)
    service.destroy(hourly)
    assert SCHEDULE not in service.ids(hourly)
    assert {find_snapshot(service.session, "dev", name).id for name in (taken.id, taken.name)} == {taken.id}


def test_a_schedule_moves_to_the_disk_that_replaces_its_own(service: Service) -> None:
    dev = _dev(expression="@daily", snapshot_count=2)
    service.roll_out(dev)
    (disk,) = data_disks(service.session, "dev")
    name, operation = begin_snapshot(service.session, "dev", disk)
    service.session.finish(operation, what=name)
    restored = restore(service.session, dev, find_snapshot(service.session, "dev", name), PlainReporter())
    (step,) = [step for step in service.plan(dev).all_steps if step.ref == SCHEDULE]
    assert step.fields == ("disk",)
    service.roll_out(dev)
    assert disks_of(service.session, service.ids(dev)[SCHEDULE]) == [restored]
