"""Several data disks of a group: added to it, taken away, kept or deleted; by the API of any cloud."""

from __future__ import annotations

import pytest

from samovar.core.errors import ConfigError
from samovar.deploy.machines import list_instances
from samovar.deploy.plan import Action
from samovar.deploy.resources.resource import Kind, Ref
from samovar.deploy.snapshots import find_deletable, inventory
from samovar.project.data_disk import DataDisk
from samovar.project.environment import Environment
from tests.support.checkout import environment as load_environment
from tests.support.environments import changed
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


def test_a_destruction_deletes_a_disk_of_which_the_file_says_so(service: Service, dev: Environment) -> None:
    service.roll_out(with_disk(dev, "cache", mount="/srv/cache", on_destroy="delete"))
    service.destroy(dev)
    assert {ref for ref in service.ids(dev) if ref.kind is Kind.DISK} == {DATA}
