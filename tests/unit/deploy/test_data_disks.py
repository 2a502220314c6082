"""Data disks outlive their machines, and are given the time to be filled."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from yandex.cloud.compute.v1.instance_pb2 import AttachedDisk, Instance

from samovar.core.errors import CloudError, ConfigError
from samovar.deploy.machines import check_disks_outlive_machines
from samovar.deploy.plan import Plan, plan
from samovar.deploy.resources.address import Address
from samovar.deploy.resources.disk import Disk
from samovar.deploy.resources.instance_group import InstanceGroup
from samovar.deploy.resources.resource import Existing, Observed
from samovar.deploy.resources.seed_record import SeedRecord
from samovar.deploy.rollout import still_billed
from samovar.deploy.seeding import healthy_timeout
from samovar.deploy.snapshots import required_disk_names
from tests.support.checkout import environment as load_environment
from tests.support.environments import desired_of


def _session(*machines: Instance) -> Any:
    """List instances without their disks, as an answer may, and have all of them in Get."""
    by_id = {machine.id: machine for machine in machines}
    client = SimpleNamespace(List=None, Get=lambda request: by_id[request.instance_id])
    return SimpleNamespace(folder_id="folder", client=lambda _: client, list=lambda *_: list(machines))


def _machine(*, auto_delete: bool) -> Instance:
    disk = AttachedDisk(disk_id="disk-1", auto_delete=auto_delete)
    labels = {"managed-by": "samovar", "env": "dev", "group": "postgres"}
    return Instance(id="vm-1", name="dev-postgres-1", labels=labels, secondary_disks=[disk])


def test_a_group_without_a_data_disk_is_named_with_those_that_have_one() -> None:
    dev = load_environment("dev")
    assert required_disk_names(dev) == required_disk_names(dev, "postgres") == ["dev-postgres-data"]
    with pytest.raises(ConfigError, match=r"^group bingo of dev has no data disk") as caught:
        required_disk_names(dev, "bingo")
    assert caught.value.remedy == "groups with data disks: postgres"


def test_a_disk_that_would_be_deleted_with_its_machine_stops_the_rollout() -> None:
    with pytest.raises(CloudError, match=r"dev-postgres-1 \(disk-1\)") as caught:
        check_disks_outlive_machines(_session(_machine(auto_delete=True)), "dev")
    assert "disk snapshot dev" in caught.value.remedy


def test_a_disk_that_outlives_its_machine_is_well() -> None:
    check_disks_outlive_machines(_session(_machine(auto_delete=False)), "dev")


def test_a_machine_that_fills_a_disk_is_given_the_time() -> None:
    """Made anew after ten minutes it would begin again, and never end."""
    dev = load_environment("dev")
    images = {group.image: f"samovar-{group.image}-0123456789ab" for group in dev.groups}
    groups = [each for each in desired_of(dev, images).resources if isinstance(each.spec, InstanceGroup)]
    given = {each.group: each.spec.max_checking_health for each in groups if isinstance(each.spec, InstanceGroup)}
    assert given == {"nginx": 600, "bingo": 600, "postgres": 3600}


def test_a_rollout_waits_as_long_as_a_group_does_for_a_disk_that_is_not_recorded_yet() -> None:
    dev, usual = load_environment("dev"), 1800.0
    images = {group.image: f"samovar-{group.image}-0123456789ab" for group in dev.groups}
    first = plan(desired_of(dev, images), Observed("dev"))
    assert healthy_timeout(first, Observed("dev"), usual) == 3600
    recorded, unrecorded = (_observed_record(seeded=seeded) for seeded in (True, False))
    assert healthy_timeout(Plan("dev"), unrecorded, usual) == 3600
    assert healthy_timeout(Plan("dev"), recorded, usual) == usual


def _observed_record(*, seeded: bool) -> Observed:
    record = SeedRecord(readers=(), disk="dev-postgres-data", seeded=seeded)
    return Observed("dev", (Existing("dev-postgres-seeded", record, "postgres", "e6q-1"),))


def test_a_destruction_names_the_resources_that_are_still_billed() -> None:
    kept = (
        Existing("dev-postgres-data", Disk(10 << 30, "network-ssd", "ru-central1-a", "data"), "postgres", "disk-1"),
        Existing("dev-nginx", Address("ru-central1-a"), "nginx", "address-1"),
    )
    assert still_billed(kept, snapshots=2, images=1) == (
        "billed all the same: 1 data disk; 1 idle public address, dearer than one in use; 2 snapshots; 1 image"
    )
    assert still_billed((), snapshots=0, images=0) == ""
