"""Snapshots by the tool: taken, listed, put in the place of a data disk, and deleted; by the API of any cloud."""

from __future__ import annotations

import pytest
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.instance_service_pb2 import ListInstancesRequest
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot

from samovar.cloud.errors import CallFailed
from samovar.core.errors import ConfigError
from samovar.core.output import PlainReporter
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.observe import observe
from samovar.deploy.resources.registry import HANDLERS
from samovar.deploy.resources.resource import Kind, Ref
from samovar.deploy.restore import restore
from samovar.deploy.snapshots import (
    begin_deletion,
    begin_snapshot,
    data_disks,
    find_deletable,
    find_snapshot,
    inventory,
    snapshots,
)
from samovar.project.environment import Environment
from tests.support.checkout import environment as load_environment
from tests.support.service import RECORD, Service

GROUP, DISK = Ref(Kind.INSTANCE_GROUP, "dev-postgres"), Ref(Kind.DISK, "dev-postgres-data")


@pytest.fixture
def dev(service: Service) -> Environment:
    environment = load_environment("dev")
    service.roll_out(environment)
    return environment


def write(service: Service, disk_id: str, text: bytes) -> None:
    with service.home.disk(disk_id).open("r+b") as file:
        file.write(text)


def read(service: Service, disk_id: str) -> bytes:
    with service.home.disk(disk_id).open("rb") as file:
        return file.read(4)


def taken(service: Service, dev: Environment) -> Snapshot:
    """A snapshot of the data disk, which holds the old rows."""
    (disk,) = (disk for disk in data_disks(service.session, dev.name) if disk.name == DISK.name)
    write(service, disk.id, b"old!")
    name, operation = begin_snapshot(service.session, dev.name, disk)
    service.session.finish(operation, what=name)
    return find_snapshot(service.session, dev.name, name)


def attached(service: Service) -> str:
    """The data disk of the database's machine."""
    return service.machine("dev-postgres-1").secondary_disks[0].disk_id


def wait_until_attached(service: Service, disk_id: str) -> None:
    """Wait until the machine of the rollout has the disk: the former one is deleted first."""

    def probe() -> bool | Pending:
        request = ListInstancesRequest(folder_id=service.session.folder_id)
        listed = service.session.list(
            service.session.client(InstanceServiceStub).List, request, lambda page: page.instances
        )
        disks = [disk.disk_id for machine in listed for disk in machine.secondary_disks]
        return True if disks == [disk_id] else Pending(f"{disks}")

    wait_for(f"machine with {disk_id}", probe, timeout=60)


def test_a_restore_replaces_the_present_rows_with_those_of_the_snapshot(service: Service, dev: Environment) -> None:
    snapshot = taken(service, dev)
    assert snapshot.name.startswith("dev-postgres-data-2")
    assert dict(snapshot.labels) == {"managed-by": "samovar", "env": "dev", "group": "postgres", "data-disk": "data"}
    former = attached(service)
    write(service, former, b"new!")
    restored = restore(service.session, dev, snapshot, PlainReporter())
    assert (read(service, restored), read(service, former)) == (b"old!", b"new!")
    record, change = service.plan(dev).all_steps
    assert (record.ref, change.ref) == (RECORD, GROUP)
    assert "data_disks: data=dev-postgres-data-replaced-" in change.reason
    assert change.reason.endswith("-> data=dev-postgres-data; machines are replaced one at a time")
    with pytest.raises(ConfigError, match="is attached to a machine") as refused:
        find_deletable(service.session, dev, former)
    assert refused.value.remedy == "samovar rollout dev, after which no machine has it"
    service.roll_out(dev)
    wait_until_attached(service, restored)
    assert service.plan(dev).all_steps == ()
    disks = {disk.name: (disk.id, disk.attached) for disk in inventory(service.session, "dev").disks}
    assert disks.pop(DISK.name) == (restored, True)
    ((name, kept),) = disks.items()
    assert name.startswith("dev-postgres-data-replaced-")
    assert kept == (former, False)
    with pytest.raises(ConfigError, match="is a data disk of a group"):
        find_deletable(service.session, dev, DISK.name)
    service.session.finish(begin_deletion(service.session, find_deletable(service.session, dev, name)), what="delete")
    assert [disk.id for disk in data_disks(service.session, "dev")] == [restored]


def test_a_disk_that_was_lost_comes_back_from_a_snapshot(service: Service, dev: Environment) -> None:
    snapshot = taken(service, dev)
    there = {actual.ref: actual for actual in observe(service.session, "dev").resources}
    for ref in (GROUP, DISK):
        service.session.finish(HANDLERS[ref.kind].delete(service.session, there[ref]), what=f"delete {ref} by hand")
    restored = restore(service.session, dev, snapshot, PlainReporter())
    assert [change.ref for change in service.plan(dev).all_steps] == [RECORD, GROUP]
    service.roll_out(dev)
    wait_until_attached(service, restored)
    assert read(service, restored) == b"old!"


def test_no_destruction_deletes_a_snapshot_and_the_next_environment_can_use_it(
    service: Service, dev: Environment
) -> None:
    snapshot = taken(service, dev)
    service.destroy(dev)
    service.destroy(dev, delete_data=True)
    assert data_disks(service.session, "dev") == []
    assert [each.id for each in snapshots(service.session, "dev")] == [snapshot.id]
    restored = restore(service.session, dev, snapshot, PlainReporter())
    service.roll_out(dev)
    wait_until_attached(service, restored)
    service.session.finish(begin_deletion(service.session, snapshot), what="delete it")
    assert snapshots(service.session, "dev") == []


@pytest.mark.parametrize("calls", range(3))
def test_a_restoration_that_is_interrupted_is_finished_by_the_next(
    service: Service, dev: Environment, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """It ends after the disk is created, after the former one is renamed, or after all of it."""
    snapshot, former, left = taken(service, dev), attached(service), [calls]
    real = restore.__globals__["_rename"]

    def dies(*arguments: object) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setitem(restore.__globals__, "_rename", dies)
        if calls < 2:
            with pytest.raises(KeyboardInterrupt):
                restore(service.session, dev, snapshot, PlainReporter())
    restored = restore(service.session, dev, snapshot, PlainReporter())
    actual = {disk.name: disk.id for disk in data_disks(service.session, "dev")}
    assert actual.pop(DISK.name) == restored
    assert list(actual.values()) == [former]


def test_a_restore_does_not_use_the_disk_of_an_interrupted_one_from_another_snapshot(
    service: Service, dev: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = taken(service, dev)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(restore.__globals__, "_rename", dies)
        with pytest.raises(KeyboardInterrupt):
            restore(service.session, dev, first, PlainReporter())
    disk = next(disk for disk in data_disks(service.session, "dev") if disk.name == DISK.name)
    request_name, operation = begin_snapshot(service.session, "dev", Disk(id=disk.id, name="other", labels=disk.labels))
    service.session.finish(operation, what=request_name)
    second = find_snapshot(service.session, "dev", request_name)
    restored = restore(service.session, dev, second, PlainReporter())
    actual = {disk.id: disk.source_snapshot_id for disk in data_disks(service.session, "dev")}
    assert actual == {restored: second.id, disk.id: ""}


def test_a_missing_or_unfit_snapshot_is_an_error(service: Service, dev: Environment) -> None:
    snapshot = taken(service, dev)
    with pytest.raises(ConfigError, match="has no snapshot nothing") as unknown:
        find_snapshot(service.session, "dev", "nothing")
    assert snapshot.name in unknown.value.remedy
    with pytest.raises(ConfigError, match="dev has neither a snapshot nor a data disk nothing") as undeletable:
        find_deletable(service.session, dev, "nothing")
    assert undeletable.value.remedy == "`samovar disk list dev` lists both"
    with pytest.raises(ConfigError, match="has no snapshot"):
        find_snapshot(service.session, "prod", snapshot.name)
    larger = Snapshot(id=snapshot.id, name="larger", labels=snapshot.labels, status=Snapshot.READY, disk_size=30 << 30)
    with pytest.raises(ConfigError, match="of a disk of 30 GiB") as refused:
        restore(service.session, dev, larger, PlainReporter())
    assert "size: 30G" in refused.value.remedy
    of_bingo = Snapshot(id=snapshot.id, name="b", labels={**snapshot.labels, "group": "bingo"}, status=Snapshot.READY)
    with pytest.raises(ConfigError, match="has no data disk data"):
        restore(service.session, dev, of_bingo, PlainReporter())


def test_a_refusal_of_the_cloud_is_reported(service: Service, dev: Environment) -> None:
    with pytest.raises(CallFailed, match="not found"):
        begin_snapshot(service.session, dev.name, Disk(id="nothing", name="nothing"))
