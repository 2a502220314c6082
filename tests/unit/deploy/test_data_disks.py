"""Data disks outlive their machines, and are given the time to be filled."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from yandex.cloud.compute.v1.instance_pb2 import AttachedDisk, Instance

from samovar.core.errors import CloudError
from samovar.deploy.machines import check_disks_outlive_machines
from samovar.deploy.resources.address import Address
from samovar.deploy.resources.disk import Disk
from samovar.deploy.resources.instance_group import InstanceGroup
from samovar.deploy.resources.resource import Existing
from samovar.deploy.rollout import still_billed
from tests.support.checkout import environment as load_environment
from tests.support.environments import desired_of


def _session(*machines: Instance) -> Any:
    """Lists instances without their disks, as an answer may, and has all of them in Get."""
    by_id = {machine.id: machine for machine in machines}
    client = SimpleNamespace(List=None, Get=lambda request: by_id[request.instance_id])
    return SimpleNamespace(folder_id="folder", client=lambda _: client, list=lambda *_: list(machines))


def _machine(*, auto_delete: bool) -> Instance:
    disk = AttachedDisk(disk_id="disk-1", auto_delete=auto_delete)
    labels = {"managed-by": "samovar", "env": "dev", "group": "postgres"}
    return Instance(id="vm-1", name="dev-postgres-1", labels=labels, secondary_disks=[disk])


def test_a_disk_that_goes_with_its_machine_stops_the_rollout() -> None:
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


def test_a_destruction_says_what_is_billed_all_the_same() -> None:
    kept = (
        Existing("dev-postgres-data", Disk(10 << 30, "network-ssd", "ru-central1-a", "data"), "postgres", "disk-1"),
        Existing("dev-nginx", Address("ru-central1-a"), "nginx", "address-1"),
    )
    assert still_billed(kept, snapshots=2, images=1) == (
        "billed all the same: 1 data disk; 1 idle public address, dearer than one in use; 2 snapshots; 1 image"
    )
    assert still_billed((), snapshots=0, images=0) == ""
