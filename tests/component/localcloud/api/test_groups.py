"""Instance groups over the wire, on a simulated host: their calls, their life, and what they say of it."""

from __future__ import annotations

import time
from pathlib import Path

import grpc
import pytest
from yandex.cloud.compute.v1.instance_service_pb2 import ListInstancesRequest
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import IPV4, DeployPolicy, ManagedInstance, ScalePolicy
from yandex.cloud.iam.v1.service_account_pb2 import ServiceAccount
from yandex.cloud.iam.v1.service_account_service_pb2 import CreateServiceAccountRequest
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.loadbalancer.v1.target_group_service_pb2 import DeleteTargetGroupRequest
from yandex.cloud.loadbalancer.v1.target_group_service_pb2_grpc import TargetGroupServiceStub
from yandex.cloud.operation.operation_service_pb2 import GetOperationRequest
from yandex.cloud.operation.operation_service_pb2_grpc import OperationServiceStub
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder
from yandex.cloud.resourcemanager.v1.folder_service_pb2 import CreateFolderRequest
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from tests.support.calls import account, code_of, grant, revoke
from tests.support.group_client import ROLES, Groups
from tests.support.simulated import RunningCloud
from tests.support.wait import wait_until

ENOUGH = 4
"""Checks of one machine after which it is known to be unhealthy, twice over."""


def test_a_group_comes_grows_shrinks_and_goes(groups: Groups) -> None:
    created = groups.finished(groups.create())
    assert created.response.TypeName() == "yandex.cloud.compute.v1.instancegroup.InstanceGroup"
    assert groups.machines().keys() == {"m-1", "m-2"}
    assert {member.status for member in groups.members()} == {ManagedInstance.RUNNING_ACTUAL}
    assert all(member.fqdn == f"{member.name}.ru-central1.internal" for member in groups.members())
    first = groups.machines()
    groups.finished(groups.update("scale_policy", scale_policy=ScalePolicy(fixed_scale=ScalePolicy.FixedScale(size=3))))
    assert first.items() < groups.machines().items()
    groups.finished(groups.update("scale_policy", scale_policy=ScalePolicy(fixed_scale=ScalePolicy.FixedScale(size=1))))
    assert len(groups.machines()) == 1
    state = groups.group().managed_instances_state
    assert (state.target_size, state.running_actual_count, state.processing_count) == (1, 1, 0)
    groups.finished(groups.groups.Delete(rpc.DeleteInstanceGroupRequest(instance_group_id=groups.group().id)))
    assert groups.machines() == {}
    assert groups.cloud.driver.machines == {}
    assert not list(groups.cloud.home.disks.iterdir())


def test_a_group_that_scales_by_load_keeps_the_size_that_it_begins_with(groups: Groups) -> None:
    groups.finished(groups.create())
    scale = ScalePolicy.AutoScale(initial_size=1, min_zone_size=3, max_size=4)
    scale.measurement_duration.seconds = 60
    scale.cpu_utilization_rule.utilization_target = 70
    groups.finished(groups.update("scale_policy", scale_policy=ScalePolicy(auto_scale=scale)))
    assert len(groups.machines()) == 3
    assert groups.group().managed_instances_state.target_size == 3
    scale.max_size = 2
    code = code_of(groups.update, "scale_policy", scale_policy=ScalePolicy(auto_scale=scale))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_a_rule_of_load_has_a_target_and_a_time_in_which_it_is_measured(groups: Groups) -> None:
    groups.finished(groups.create(size=1))
    rule = ScalePolicy.CpuUtilizationRule()
    scale = ScalePolicy.AutoScale(initial_size=1, max_size=4, cpu_utilization_rule=rule)
    code = code_of(groups.update, "scale_policy", scale_policy=ScalePolicy(auto_scale=scale))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    scale.cpu_utilization_rule.utilization_target = 70
    groups.finished(groups.update("scale_policy", scale_policy=ScalePolicy(auto_scale=scale)))
    assert groups.group().scale_policy.auto_scale.measurement_duration.seconds == 60


def test_a_group_that_scales_by_load_begins_with_a_machine_in_each_zone(groups: Groups) -> None:
    groups.finished(groups.create(size=1))
    scale = ScalePolicy.AutoScale(max_size=4)
    scale.measurement_duration.seconds = 60
    scale.cpu_utilization_rule.utilization_target = 70
    code = code_of(groups.update, "scale_policy", scale_policy=ScalePolicy(auto_scale=scale))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    rule = scale.custom_rules.add(rule_type=ScalePolicy.CustomRule.WORKLOAD, metric_name="queue", target=1)
    rule.metric_type = rule.GAUGE
    groups.update("scale_policy", scale_policy=ScalePolicy(auto_scale=scale))


def test_a_part_of_a_policy_is_changed_by_itself(groups: Groups) -> None:
    groups.finished(groups.create(size=1))
    groups.finished(groups.update("deploy_policy.max_unavailable", deploy_policy=DeployPolicy(max_unavailable=1)))
    policy = groups.group().deploy_policy
    assert (policy.max_unavailable, policy.max_expansion, policy.minimal_action) == (1, 1, DeployPolicy.RECREATE)
    code = code_of(groups.update, "deploy_policy.nothing", deploy_policy=DeployPolicy(max_unavailable=1))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_the_target_group_of_a_group_cannot_be_deleted_by_itself(groups: Groups) -> None:
    groups.finished(groups.create(size=1))
    targets = TargetGroupServiceStub(groups.cloud.channel())
    delete = DeleteTargetGroupRequest(target_group_id=groups.group().load_balancer_state.target_group_id)
    assert code_of(targets.Delete, delete) is grpc.StatusCode.FAILED_PRECONDITION
    groups.finished(groups.groups.Delete(rpc.DeleteInstanceGroupRequest(instance_group_id=groups.group().id)))
    assert code_of(targets.Delete, delete) is grpc.StatusCode.NOT_FOUND


def test_a_dead_machine_comes_back_as_a_new_one(groups: Groups) -> None:
    groups.finished(groups.create())
    before = groups.machines()
    groups.cloud.driver.crash(before["m-1"])
    wait_until("another machine m-1", lambda: groups.machines().get("m-1") not in {None, before["m-1"]})
    wait_until("all members run", groups.all_run)
    assert groups.machines()["m-2"] == before["m-2"]
    assert any("recreate" in record for record in groups.log())


def test_a_changed_template_replaces_every_machine(groups: Groups) -> None:
    groups.finished(groups.create())
    before = set(groups.machines().values())
    groups.finished(groups.update("instance_template", instance_template=groups.template(key="new")))
    assert len(groups.machines()) == 2
    assert not before & set(groups.machines().values())


def test_an_unhealthy_update_stops_at_the_first_machine_and_a_healthy_one_continues(groups: Groups) -> None:
    """The machines that serve stay; the log tells it once and does not run over."""
    groups.finished(groups.create(checks=True))
    serving, good, bad = set(groups.machines().values()), groups.port, groups.port + 1
    groups.cloud.driver.closed_ports.add(bad)
    groups.port = bad
    groups.change(key="bad")
    wait_until("health checks", lambda: groups.cloud.driver.asked_ports[bad] > 3 * ENOUGH)
    assert len(groups.machines()) == 3
    assert serving <= set(groups.machines().values())
    groups.port = good
    groups.finished(groups.change(key="good"), timeout=40)
    assert len(groups.machines()) == 2
    assert not serving & set(groups.machines().values())
    assert len(groups.log()) < 40


def test_rapid_changes_end_in_the_last_one(groups: Groups) -> None:
    groups.finished(groups.create())
    for number in range(12):
        groups.change(key=str(number))
        time.sleep(0.03 * (number % 4))
        for machine_id in list(groups.machines().values())[:1]:
            groups.cloud.driver.crash(machine_id)
    groups.finished(groups.change(key="last"), timeout=60)
    assert len(groups.machines()) == 2
    assert len(groups.log()) < 200


def test_a_stopped_group_takes_a_change_at_its_start_and_a_paused_one_none_at_all(groups: Groups) -> None:
    groups.finished(groups.create(size=1))
    (before,) = groups.machines().values()
    stub, by_id = groups.groups, {"instance_group_id": groups.group().id}
    stub.PauseProcesses(rpc.PauseInstanceGroupProcessesRequest(**by_id))
    assert code_of(groups.change, key="a") is grpc.StatusCode.FAILED_PRECONDITION
    assert code_of(stub.Delete, rpc.DeleteInstanceGroupRequest(**by_id)) is grpc.StatusCode.FAILED_PRECONDITION
    stub.ResumeProcesses(rpc.ResumeInstanceGroupProcessesRequest(**by_id))
    groups.finished(stub.Stop(rpc.StopInstanceGroupRequest(**by_id)))
    size = ScalePolicy(fixed_scale=ScalePolicy.FixedScale(size=2))
    groups.finished(groups.update("scale_policy", scale_policy=size))
    assert groups.finished(groups.change(key="b")).response.TypeName().endswith("InstanceGroup")
    assert groups.machines() == {"m-1": before}
    groups.finished(stub.Start(rpc.StartInstanceGroupRequest(**by_id)))
    wait_until("both run", lambda: groups.all_run() and len(groups.machines()) == 2)
    assert before not in groups.machines().values()
    stub.Stop(rpc.StopInstanceGroupRequest(**by_id))
    groups.finished(stub.Start(rpc.StartInstanceGroupRequest(**by_id)))
    wait_until("both run again", groups.all_run)


def test_a_group_that_cannot_work_is_refused(groups: Groups) -> None:
    for change in ({"max_expansion": 0}, {"size": 101}):
        with pytest.raises(grpc.RpcError) as refused:
            groups.create(size=change.get("size", 2), max_expansion=change.get("max_expansion", 1))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_disk_is_either_an_existing_one_or_a_new_one(groups: Groups) -> None:
    template = groups.template()
    disk = template.secondary_disk_specs.add(mode=template.boot_disk_spec.READ_WRITE, disk_id="fhm1")
    disk.disk_spec.type_id = "network-ssd"
    with pytest.raises(grpc.RpcError, match="either disk_spec or disk_id") as refused:
        groups.create(size=1, template=template)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_group_with_disks_of_an_unknown_type_is_refused(groups: Groups) -> None:
    template = groups.template()
    template.boot_disk_spec.disk_spec.type_id = "network-fast"
    with pytest.raises(grpc.RpcError, match="DiskType network-fast not found") as refused:
        groups.create(size=1, template=template)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_killed_daemon_continues_with_the_group(tmp_path: Path) -> None:
    """A new run of the cloud on the same home finishes what the last one began."""
    home = tmp_path / "home"
    with RunningCloud(home).serving() as cloud:
        groups = Groups(cloud)
        operation = groups.create(size=3)
    with RunningCloud(home).serving() as cloud:
        channel = cloud.channel()
        stub = OperationServiceStub(channel)
        wait_until("the operation", lambda: stub.Get(GetOperationRequest(operation_id=operation.id)).done)
        actual = InstanceServiceStub(channel).List(ListInstancesRequest(folder_id=cloud.endpoint.folder_id)).instances
        assert sorted(instance.name for instance in actual) == ["m-1", "m-2", "m-3"]


def test_a_group_that_was_stopped_shows_the_new_public_address_of_its_machine(groups: Groups) -> None:
    grant(groups.cloud, "vpc.publicAdmin", groups.account_id)
    template = groups.template()
    template.network_interface_specs[0].primary_v4_address_spec.one_to_one_nat_spec.ip_version = IPV4
    groups.finished(groups.create(size=1, template=template))
    before = _public(groups)
    groups.finished(groups.groups.Stop(rpc.StopInstanceGroupRequest(instance_group_id=groups.group().id)))
    groups.finished(groups.groups.Start(rpc.StartInstanceGroupRequest(instance_group_id=groups.group().id)))
    assert _public(groups) not in {"", before}


def _public(groups: Groups) -> str:
    (member,) = groups.members()
    return member.network_interfaces[0].primary_v4_address.one_to_one_nat.address


def test_a_group_that_is_being_deleted_takes_another_account_alone(groups: Groups) -> None:
    groups.finished(groups.create(size=1))
    revoke(groups.cloud, "compute.editor", groups.account_id)
    deleting = groups.groups.Delete(rpc.DeleteInstanceGroupRequest(instance_group_id=groups.group().id))
    wait_until("the refusal", groups.messages)
    other = account(groups.cloud, "other")[0]
    for role in ROLES:
        grant(groups.cloud, role, other)
    with pytest.raises(grpc.RpcError, match="is DELETING"):
        groups.update("name", name="new")
    groups.update("service_account_id", service_account_id=other)
    groups.finished(deleting)


def test_the_account_of_a_group_is_of_its_folder(groups: Groups) -> None:
    folder = CreateFolderRequest(cloud_id=groups.cloud.endpoint.cloud_id, name="other")
    created = Folder.FromString(FolderServiceStub(groups.cloud.channel()).Create(folder).response.value)
    request = CreateServiceAccountRequest(folder_id=created.id, name="elsewhere")
    operation = ServiceAccountServiceStub(groups.cloud.channel()).Create(request)
    groups.account_id = ServiceAccount.FromString(operation.response.value).id
    assert code_of(groups.create) is grpc.StatusCode.INVALID_ARGUMENT
