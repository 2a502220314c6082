"""A group follows its policies and the rights of its account; on a simulated host."""

from __future__ import annotations

import time
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.access.access_pb2 import SetAccessBindingsRequest
from yandex.cloud.compute.v1.disk_service_pb2 import ListDisksRequest
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.instance_service_pb2 import GetInstanceRequest, InstanceView
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import (
    DeployPolicy,
    InstanceTemplate,
    ManagedInstance,
    ScalePolicy,
)
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub

from tests.support.calls import account, binding, code_of, grant, revoke
from tests.support.group_client import ROLES, Groups
from tests.support.wait import wait_until

SETTLED = 1.5
"""Seconds after which a group that has something to do has begun to do it: it is looked at four times a second."""


def _policy(groups: Groups, **changes: Any) -> None:
    """Another deploy policy, which is no reason to touch a machine: one machine at a time, and never one more."""
    policy = DeployPolicy(max_unavailable=1, **changes)
    groups.finished(groups.update("deploy_policy", deploy_policy=policy))


def _retemplate(groups: Groups, template: InstanceTemplate) -> rpc.UpdateInstanceGroupRequest:
    return rpc.UpdateInstanceGroupRequest(
        instance_group_id=groups.group().id,
        instance_template=template,
        update_mask=FieldMask(paths=["instance_template"]),
    )


def _metadata(groups: Groups, instance_id: str) -> dict[str, str]:
    request = GetInstanceRequest(instance_id=instance_id, view=InstanceView.FULL)
    return dict(groups.instances.Get(request).metadata)


def _stateful(groups: Groups, gib: int = 1) -> InstanceTemplate:
    template = groups.template()
    disk = template.secondary_disk_specs.add(device_name="data")
    disk.mode, disk.disk_spec.type_id, disk.disk_spec.size = disk.READ_WRITE, "network-ssd", gib << 30
    return template


def _data_disks(groups: Groups) -> dict[str, str]:
    """The data disk of each member, by the member's id."""
    actual = {}
    for member in groups.members():
        (disk,) = groups.instances.Get(GetInstanceRequest(instance_id=member.instance_id)).secondary_disks
        actual[member.id] = disk.disk_id
    return actual


def _disk_sizes(groups: Groups) -> dict[str, int]:
    request = ListDisksRequest(folder_id=groups.cloud.endpoint.folder_id)
    return {disk.id: disk.size for disk in DiskServiceStub(groups.cloud.channel()).List(request).disks}


def test_a_change_that_a_restart_takes_restarts_the_same_machines(groups: Groups) -> None:
    groups.finished(groups.create())
    before = groups.machines()
    _policy(groups, minimal_action=DeployPolicy.LIVE_UPDATE)
    groups.finished(groups.update("instance_template", instance_template=groups.template(key="new")))
    assert groups.machines() == before
    assert all(_metadata(groups, machine_id) == {"key": "new"} for machine_id in before.values())
    assert sum("restart: the template changed" in record for record in groups.log()) == 2


def test_a_live_change_updates_machines_while_they_run(groups: Groups) -> None:
    groups.finished(groups.create())
    _policy(groups, minimal_action=DeployPolicy.LIVE_UPDATE)
    template = groups.template()
    template.labels["tier"] = "web"
    output = len(groups.log())
    groups.finished(groups.update("instance_template", instance_template=template))
    for machine_id in groups.machines().values():
        assert groups.instances.Get(GetInstanceRequest(instance_id=machine_id)).labels == {"tier": "web"}
    assert len(groups.log()) == output


def test_opportunistic_groups_wait_for_a_machine_to_fail(groups: Groups) -> None:
    groups.finished(groups.create())
    before = groups.machines()
    _policy(groups, strategy=DeployPolicy.OPPORTUNISTIC)
    updating = groups.groups.Update(_retemplate(groups, groups.template(key="new")))
    time.sleep(SETTLED)
    assert groups.machines() == before
    assert {member.status for member in groups.members()} == {ManagedInstance.RUNNING_OUTDATED}
    groups.cloud.driver.crash(before["m-1"])
    wait_until("another machine m-1", lambda: groups.machines().get("m-1") not in {None, before["m-1"]})
    assert groups.machines()["m-2"] == before["m-2"]
    assert _metadata(groups, groups.machines()["m-1"]) == {"key": "new"}
    groups.cloud.driver.crash(before["m-2"])
    groups.finished(updating)


def test_a_rolling_recreation_reaches_the_machine_that_is_named(groups: Groups) -> None:
    groups.finished(groups.create())
    _policy(groups)
    before, (member, _) = groups.machines(), groups.members()
    request = rpc.RollingRecreateRequest(instance_group_id=groups.group().id, managed_instance_ids=[member.id])
    groups.finished(groups.groups.RollingRecreate(request))
    after = groups.machines()
    assert len(after) == 2
    assert len(set(before.values()) & set(after.values())) == 1
    assert member.instance_id not in after.values()


def test_a_rolling_restart_keeps_the_machine(groups: Groups) -> None:
    groups.finished(groups.create())
    _policy(groups)
    before, (member, _) = groups.machines(), groups.members()
    request = rpc.RollingRestartRequest(instance_group_id=groups.group().id, managed_instance_ids=[member.id])
    groups.finished(groups.groups.RollingRestart(request))
    assert any(f"{member.name}: restart" in record for record in groups.log())
    assert groups.machines() == before


def test_a_new_machine_waits_its_startup_duration(groups: Groups) -> None:
    groups.finished(groups.create(size=1))
    _policy(groups, startup_duration=Duration(seconds=2))
    began = time.monotonic()
    scaled = groups.update("scale_policy", scale_policy=ScalePolicy(fixed_scale=ScalePolicy.FixedScale(size=2)))
    wait_until(
        "a member that warms up",
        lambda: ManagedInstance.AWAITING_STARTUP_DURATION in {member.status for member in groups.members()},
    )
    groups.finished(scaled)
    assert time.monotonic() - began >= 2


def test_a_members_disk_outlives_its_machine_and_is_deleted_with_the_member(groups: Groups) -> None:
    groups.finished(groups.create(template=_stateful(groups)))
    _policy(groups)
    machines, disks = groups.machines(), _data_disks(groups)
    groups.finished(groups.update("instance_template", instance_template=_stateful(groups, gib=2)))
    assert not set(machines.values()) & set(groups.machines().values())
    assert _data_disks(groups) == disks
    assert {size for disk, size in _disk_sizes(groups).items() if disk in disks.values()} == {2 << 30}
    crashed = groups.machines()["m-1"]
    groups.cloud.driver.crash(crashed)
    wait_until("another machine m-1", lambda: groups.machines().get("m-1") not in {None, crashed})
    wait_until("all members run", groups.all_run)
    assert _data_disks(groups) == disks
    groups.finished(groups.groups.Delete(rpc.DeleteInstanceGroupRequest(instance_group_id=groups.group().id)))
    assert _disk_sizes(groups) == {}


def test_a_disk_of_a_smaller_size_is_a_new_disk(groups: Groups) -> None:
    groups.finished(groups.create(size=1, template=_stateful(groups, gib=2)))
    _policy(groups)
    before = set(_data_disks(groups).values())
    groups.finished(groups.update("instance_template", instance_template=_stateful(groups)))
    after = set(_data_disks(groups).values())
    assert not before & _disk_sizes(groups).keys()
    assert [_disk_sizes(groups)[disk] for disk in after] == [1 << 30]


def _named(groups: Groups, *names: str) -> InstanceTemplate:
    template = groups.template()
    for name in names:
        disk = template.secondary_disk_specs.add(name=name)
        disk.mode, disk.disk_spec.type_id, disk.disk_spec.size = disk.READ_WRITE, "network-ssd", 1 << 30
    return template


def test_disks_with_names_are_mapped_by_them(groups: Groups) -> None:
    groups.finished(groups.create(size=1, template=_named(groups, "first", "second")))
    _policy(groups)
    first, second = _disks_of_one(groups)
    groups.finished(groups.update("instance_template", instance_template=_named(groups, "second", "third")))
    kept, new = _disks_of_one(groups)
    assert kept == second
    assert new not in {first, second}
    assert first not in _disk_sizes(groups)


def _disks_of_one(groups: Groups) -> list[str]:
    (member,) = groups.members()
    instance = groups.instances.Get(GetInstanceRequest(instance_id=member.instance_id))
    return [disk.disk_id for disk in instance.secondary_disks]


@pytest.mark.parametrize("names", [("first", ""), ("first", "first")])
def test_all_disks_or_none_have_names_of_their_own(groups: Groups, names: tuple[str, str]) -> None:
    assert code_of(groups.create, template=_named(groups, *names)) is grpc.StatusCode.INVALID_ARGUMENT


def test_a_disk_to_be_preserved_outlives_its_member(groups: Groups) -> None:
    template = _stateful(groups)
    template.secondary_disk_specs[0].disk_spec.preserve_after_instance_delete = True
    groups.finished(groups.create(template=template))
    disks = set(_data_disks(groups).values())
    groups.finished(groups.groups.Delete(rpc.DeleteInstanceGroupRequest(instance_group_id=groups.group().id)))
    assert _disk_sizes(groups).keys() == disks


def test_a_right_that_the_groups_account_lacks_is_named_until_it_is_given(groups: Groups) -> None:
    for role in ROLES:
        revoke(groups.cloud, role, groups.account_id)
    creating = groups.create()
    lacks = f"Permission denied: service account {groups.account_id} lacks compute.editor, vpc.user"
    wait_until("the refusal", lambda: lacks in {member.status_message for member in groups.members()})
    time.sleep(SETTLED)
    assert groups.machines() == {}
    assert sum(lacks in record for record in groups.log()) == 2
    for role in ROLES:
        grant(groups.cloud, role, groups.account_id)
    groups.finished(creating, timeout=60)
    assert {member.status_message for member in groups.members()} == {""}


def test_a_group_whose_account_lost_its_rights_cannot_even_be_deleted(groups: Groups) -> None:
    """It is a known trap in Yandex Cloud to remove the account first."""
    groups.finished(groups.create())
    revoke(groups.cloud, "compute.editor", groups.account_id)
    deleting = groups.groups.Delete(rpc.DeleteInstanceGroupRequest(instance_group_id=groups.group().id))
    wait_until("the refusal", lambda: any("lacks compute.editor" in record for record in groups.log()))
    assert len(groups.machines()) == 2
    grant(groups.cloud, "compute.editor", groups.account_id)
    groups.finished(deleting)


def test_public_addresses_and_machines_with_an_account_need_further_roles(groups: Groups) -> None:
    template = groups.template()
    template.network_interface_specs[0].primary_v4_address_spec.one_to_one_nat_spec.SetInParent()
    template.service_account_id = account(groups.cloud)[0]
    groups.create(template=template)
    lacks = "lacks iam.serviceAccounts.user, vpc.publicAdmin"
    wait_until("the refusal", lambda: any(lacks in member.status_message for member in groups.members()))
    use = binding("iam.serviceAccounts.user", groups.account_id)
    accounts = ServiceAccountServiceStub(groups.cloud.channel())
    accounts.SetAccessBindings(SetAccessBindingsRequest(resource_id=template.service_account_id, access_bindings=[use]))
    lacks = f"service account {groups.account_id} lacks vpc.publicAdmin"
    wait_until("the refusal", lambda: any(lacks in member.status_message for member in groups.members()))


def test_without_vpc_user_no_machine_gets_a_subnet(groups: Groups) -> None:
    revoke(groups.cloud, "vpc.user", groups.account_id)
    groups.create()
    wait_until("the refusal", lambda: any("lacks vpc.user" in member.status_message for member in groups.members()))
