"""The plan shows manual changes, and the next rollout reverts them; on the real API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1.instancegroup import instance_group_pb2 as api
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2 import (
    FULL,
    GetInstanceGroupRequest,
    PauseInstanceGroupProcessesRequest,
    ResumeInstanceGroupProcessesRequest,
    StopInstanceGroupRequest,
    UpdateInstanceGroupRequest,
)
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroupRule
from yandex.cloud.vpc.v1.security_group_service_pb2 import (
    SecurityGroupRuleSpec,
    UpdateSecurityGroupRequest,
)
from yandex.cloud.vpc.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub

from samovar.core.errors import CloudError
from samovar.deploy.plan import destruction
from samovar.deploy.preconditions import check_groups_act
from samovar.deploy.resources.resource import Kind, Ref
from samovar.project.environment import Environment
from samovar.project.group import Ingress
from tests.support.environments import changed
from tests.support.service import Service
from tests.support.wait import wait_until

GROUP, FIREWALL = Ref(Kind.INSTANCE_GROUP, "dev-bingo"), Ref(Kind.SECURITY_GROUP, "dev-bingo")
REQUIRED = ("instance_template", "scale_policy", "deploy_policy", "allocation_policy", "service_account_id")
"""The API demands these fields of a group, whatever the mask says."""


def healing(group: api.InstanceGroup) -> None:
    group.auto_healing_policy.auto_healing_action = api.AutoHealingPolicy.RESTART


def strategy(group: api.InstanceGroup) -> None:
    group.deploy_policy.strategy = api.DeployPolicy.OPPORTUNISTIC


def minimal_action(group: api.InstanceGroup) -> None:
    group.deploy_policy.minimal_action = api.DeployPolicy.LIVE_UPDATE


def labels(group: api.InstanceGroup) -> None:
    group.labels["group"] = "nginx"
    group.labels["owner"] = "somebody"


def protection(group: api.InstanceGroup) -> None:
    group.deletion_protection = True


def other_check(group: api.InstanceGroup) -> None:
    check = group.health_checks_spec.health_check_specs.add()
    check.CopyFrom(group.health_checks_spec.health_check_specs[0])
    check.tcp_options.port = 22


def variable(group: api.InstanceGroup) -> None:
    group.variables.add(key="color", value="blue")


def balancing(group: api.InstanceGroup) -> None:
    group.load_balancer_spec.ignore_health_checks = True


def machines_labels(group: api.InstanceGroup) -> None:
    group.instance_template.labels["env"] = "prod"


def metadata_form(group: api.InstanceGroup) -> None:
    group.instance_template.metadata_options.gce_http_endpoint = api.MetadataOption.DISABLED


CHANGES: list[tuple[Callable[[api.InstanceGroup], None], str, str, str]] = [
    (healing, "auto_healing_policy", "healing", "RESTART -> RECREATE"),
    (strategy, "deploy_policy", "deploy", "OPPORTUNISTIC"),
    (minimal_action, "deploy_policy", "deploy", "LIVE_UPDATE"),
    (labels, "labels", "labels", "owner=somebody"),
    (protection, "deletion_protection", "deletion_protection", "True -> False"),
    (other_check, "health_checks_spec", "other_checks", "port=22"),
    (variable, "variables", "variables", "color=blue -> none"),
    (balancing, "load_balancer_spec", "balancing", "ignore_health_checks=True"),
    (machines_labels, "instance_template", "template", "env=prod"),
    (metadata_form, "instance_template", "template", "metadata_forms: aws -> gce, aws"),
]


def test_a_plan_shows_and_a_rollout_reverts_each_property_of_a_group_that_was_changed_manually(
    service: Service, dev: Environment
) -> None:
    service.roll_out(dev)
    client = service.session.client(InstanceGroupServiceStub)
    group_id = service.ids(dev)[GROUP]
    for change, path, name, shown in CHANGES:
        group = client.Get(GetInstanceGroupRequest(instance_group_id=group_id, view=FULL))
        change(group)
        request = UpdateInstanceGroupRequest(instance_group_id=group_id, update_mask=FieldMask(paths=[path]))
        for each in {*REQUIRED, path}:
            _copy(group, request, each)
        client.Update(request)
        (step,) = service.plan(dev).steps
        assert (step.ref, step.fields) == (GROUP, (name,))
        assert shown in step.reason, step.reason
        service.roll_out(dev)
        assert service.plan(dev).all_steps == (), name


def test_a_paused_or_stopped_group_is_refused_before_a_rollout(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    client, group_id = service.session.client(InstanceGroupServiceStub), service.ids(dev)[GROUP]
    get = GetInstanceGroupRequest(instance_group_id=group_id)
    wait_until("the group is active", lambda: client.Get(get).status == api.InstanceGroup.ACTIVE)
    check_groups_act(service.plan(dev), service.observed(dev))
    client.PauseProcesses(PauseInstanceGroupProcessesRequest(instance_group_id=group_id))
    assert service.plan(dev).all_steps == ()
    for plan in (service.plan(dev), destruction(service.observed(dev))):
        with pytest.raises(CloudError, match=f"instance-group dev-bingo .{group_id}. is PAUSED: nothing of it can be"):
            check_groups_act(plan, service.observed(dev))
    client.ResumeProcesses(ResumeInstanceGroupProcessesRequest(instance_group_id=group_id))
    client.Stop(StopInstanceGroupRequest(instance_group_id=group_id))
    with pytest.raises(CloudError, match=f"instance-group dev-bingo .{group_id}. is STOPP.*: it changes no machine"):
        check_groups_act(service.plan(dev), service.observed(dev))
    check_groups_act(destruction(service.observed(dev)), service.observed(dev))


def _copy(group: api.InstanceGroup, request: UpdateInstanceGroupRequest, name: str) -> None:
    field, value = request.DESCRIPTOR.fields_by_name[name], getattr(group, name)
    if field.message_type is None:
        setattr(request, name, value)
    elif field.is_repeated:
        getattr(request, name).MergeFrom(value)
    else:
        getattr(request, name).CopyFrom(value)


def test_a_plan_shows_and_a_rollout_reverts_security_rules_that_were_added_manually(
    service: Service, dev: Environment
) -> None:
    service.roll_out(dev)
    wide = SecurityGroupRuleSpec(
        direction=SecurityGroupRule.INGRESS, protocol_name="TCP", predefined_target="loadbalancer_healthchecks"
    )
    wide.ports.from_port, wide.ports.to_port = 80, 9000
    request = UpdateSecurityGroupRequest(
        security_group_id=service.ids(dev)[FIREWALL], update_mask=FieldMask(paths=["rule_specs"]), rule_specs=[wide]
    )
    service.session.finish(service.session.client(SecurityGroupServiceStub).Update(request), what="widen")
    (step,) = service.plan(dev).steps
    assert (step.ref, step.fields) == (FIREWALL, ("rules",))
    assert "from loadbalancer_healthchecks port 80-9000 -> " in step.reason
    service.roll_out(dev)
    assert service.plan(dev).all_steps == ()


def test_a_way_in_from_outside_shows_in_the_plan_and_so_does_its_loss(service: Service, dev: Environment) -> None:
    service.roll_out(dev)
    ways = (Ingress.model_validate({"port": 8080, "from": "10.8.0.0/16"}),)
    groups = tuple(changed(each, ingress=ways) if each.name == "bingo" else each for each in dev.groups)
    opened = changed(dev, groups=groups)
    for environment, shown in ((opened, [False, True]), (dev, [True, False])):
        (step,) = service.plan(environment).steps
        assert (step.ref, step.fields) == (FIREWALL, ("rules",))
        assert ["from 10.8.0.0/16 port 8080" in side for side in step.reason.split(" -> ")] == shown, step.reason
        service.roll_out(environment)
        assert service.plan(environment).all_steps == ()
