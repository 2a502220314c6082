"""A data disk that the cloud would delete together with its machine stops a rollout."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from yandex.cloud.compute.v1.instance_pb2 import AttachedDisk, Instance

from samovar.core.errors import CloudError
from samovar.deploy.machines import check_disks_outlive_machines


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
