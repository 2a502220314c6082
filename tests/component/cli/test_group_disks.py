"""Several data disks of a group: added to it, taken away, kept or deleted; by the API of any cloud."""

from __future__ import annotations

import pytest

from samovar.core.constants import GIB
from samovar.core.errors import ConfigError
from samovar.core.output import PlainReporter
from samovar.deploy.disk_sizes import check_disk_sizes
from samovar.deploy.machines import list_instances
from samovar.deploy.plan import Action
from samovar.deploy.preconditions import check_disk_zones
from samovar.deploy.resources.resource import Kind, Ref
from samovar.deploy.restore import restore
from samovar.deploy.snapshots import begin_snapshot, data_disks, find_deletable, find_snapshot, inventory
from samovar.project.data_disk import DataDisk
from samovar.project.environment import Environment
from tests.support.checkout import environment as load_environment
from tests.support.environments import changed, desired_of
from tests.support.service import DISK as DATA
from tests.support.service import Service
from tests.support.simulated import RunningCloud
from tests.support.wait import wait_until

FILES = Ref(Kind.DISK, "dev-postgres-files")
POLICY = {"expression": "@daily", "snapshot_count": 2}


@pytest.fixture
def service(cloud: RunningCloud) -> Service:
    return Service(cloud)


@pytest.fixture
def dev() -> Environment:
    return load_environment("dev")


def with_disk(dev: Environment, name: str, **fields: object) -> Environment:
    """The environment with one disk more of its database."""
    database = dev.group("postgres")
    disks = {**database.data_disks, name: DataDisk.model_validate({"size": "1G", **fields})}
    groups = [changed(each, data_disks=disks) if each.name == "postgres" else each for each in dev.groups]
    return changed(dev, groups=tuple(groups))


def attached(service: Service) -> dict[str, str]:
    machines = [each for each in list_instances(service.session) if each.name == "dev-postgres-1"]
    return {disk.device_name: disk.disk_id for each in machines for disk in each.secondary_disks}


def test_disks_are_added_to_a_living_group_and_taken_away_and_none_is_lost(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    two = with_disk(dev, "files", mount="/srv/files", snapshot_schedule=POLICY)
    assert [(step.action, step.ref.kind) for step in service.plan(two).all_steps] == [
        (Action.CREATE, Kind.DISK),
        (Action.CREATE, Kind.SNAPSHOT_SCHEDULE),
        (Action.UPDATE, Kind.INSTANCE_GROUP),
    ]
    service.roll_out(two)
    ids = service.ids(two)
    wait_until("both are attached", lambda: attached(service) == {"data": ids[DATA], "files": ids[FILES]})
    assert service.plan(two).all_steps == ()
    listed = {each.name: each.schedule for each in inventory(service.session, "dev").disks}
    assert listed == {DATA.name: None, FILES.name: "@daily"}
    with pytest.raises(ConfigError, match="is a data disk of a group"):
        find_deletable(service.session, two, FILES.name)

    service.roll_out(dev)
    wait_until("one is attached", lambda: attached(service) == {"data": ids[DATA]})
    after = service.plan(dev)
    assert ([step.ref.kind for step in after.all_steps], [kept.id for kept in after.kept]) == (
        [Kind.SNAPSHOT_SCHEDULE],
        [ids[FILES]],
    )
    assert getattr(find_deletable(service.session, dev, FILES.name), "id", "") == ids[FILES]
    service.roll_out(two)
    wait_until("it is there again", lambda: attached(service).get("files") == ids[FILES])


def test_a_destruction_deletes_a_disk_with_on_destroy_delete(service: Service, dev: Environment) -> None:
    service.roll_out(with_disk(dev, "cache", mount="/srv/cache", on_destroy="delete"))
    service.destroy(dev)
    assert {ref for ref in service.ids(dev) if ref.kind is Kind.DISK} == {DATA}


def test_a_disk_grows_while_its_machine_has_it_and_never_shrinks(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    wait_until("it is attached", lambda: attached(service).keys() == {"data"})
    before, larger = service.ids(dev), with_disk(dev, "data", size="40G", seed="once")
    check_disk_sizes(larger, service.plan(larger))
    (step,) = service.plan(larger).all_steps
    assert (step.action, step.name, step.fields) == (Action.UPDATE, DATA.name, ("size",))
    machines = {each.id for each in list_instances(service.session)}
    service.roll_out(larger)
    (disk,) = inventory(service.session, "dev").disks
    assert (disk.id, disk.size) == (before[Ref(Kind.DISK, DATA.name)], 40 * GIB)
    assert {each.id for each in list_instances(service.session)} == machines
    with pytest.raises(ConfigError, match="dev-postgres-data of 40G cannot become one of") as less:
        check_disk_sizes(dev, service.plan(dev))
    assert "groups.postgres.data_disks.data.size" in less.value.message
    assert less.value.remedy == "write size: 40G, or more"


def test_a_group_moves_to_another_zone_with_a_copy_of_its_data_disk_alone(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    moved = changed(dev, zones=("ru-central1-b",))
    resources = desired_of(moved, service.names)
    with pytest.raises(ConfigError, match=r"dev-postgres-data is in ru-central1-a, and no machine in ru-central1-b"):
        check_disk_zones(moved, resources, service.observed(moved))
    (disk,) = data_disks(service.session, "dev")
    name, operation = begin_snapshot(service.session, "dev", disk)
    service.session.finish(operation, what=name)
    restore(service.session, moved, find_snapshot(service.session, "dev", name), PlainReporter())
    check_disk_zones(moved, resources, service.observed(moved))
    service.roll_out(moved)
    wait_until("the copy is attached", lambda: attached(service) == {"data": service.ids(moved)[DATA]})
