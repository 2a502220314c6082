"""Our words to the API's messages and back: nothing is lost on the way, and the cloud's own constraints hold."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import cast

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from yandex.cloud.compute.v1.instancegroup import instance_group_pb2 as groups_api
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups_rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.session import Session
from samovar.deploy.resources.autoscale import AutoScale, CustomRule, read_scale_policy
from samovar.deploy.resources.deploy_policy import Deploy
from samovar.deploy.resources.handler import Context, IdIndex
from samovar.deploy.resources.health_check import HealthCheck
from samovar.deploy.resources.instance_group import MASK, InstanceGroup, InstanceGroupHandler, group_fields
from samovar.deploy.resources.instance_template import Template
from samovar.deploy.resources.resource import Existing, Kind, Ref, Resource
from samovar.localcloud.api.constraints import violations
from tests.support.checkout import environment as load_environment
from tests.support.environments import changed, desired_of
from tests.support.tool import EDGES

DEV = changed(load_environment("edges", EDGES.parents[1]), name="dev")
IDS = {
    Ref(Kind.NETWORK, "dev"): "net-1",
    Ref(Kind.SUBNET, "dev-ru-central1-a"): "sub-1",
    Ref(Kind.SUBNET, "dev-ru-central1-b"): "sub-2",
    Ref(Kind.SERVICE_ACCOUNT, "dev-groups"): "acc-1",
    Ref(Kind.SERVICE_ACCOUNT, "dev-nginx"): "acc-2",
    Ref(Kind.SECURITY_GROUP, "dev-nginx"): "sec-1",
    Ref(Kind.DISK, "dev-nginx-data"): "disk-1",
    Ref(Kind.DISK, "dev-nginx-files"): "disk-2",
    Ref(Kind.SECRET, "dev-certificate"): "lock1",
}
IMAGES = {"samovar-nginx-0123456789ab": "img-1"}
NAMES = IdIndex(
    {identifier: ref.name for ref, identifier in IDS.items()} | {"img-1": "samovar-nginx-0123456789ab"},
    {"lock1": Ref(Kind.SECRET, "dev-certificate")},
)

LABELS = st.sampled_from([(), ("env=dev", "group=nginx", "managed-by=samovar")])
templates = st.builds(
    Template,
    labels=LABELS,
    metadata_forms=st.sampled_from([("gce", "aws"), ("gce",), ()]),
    name=st.just("dev-nginx-{instance.index}"),
    hostname=st.just("nginx-{instance.index}"),
    image=st.just("samovar-nginx-0123456789ab"),
    network=st.just("dev"),
    subnets=st.sampled_from([("dev-ru-central1-a",), ("dev-ru-central1-a", "dev-ru-central1-b")]),
    cores=st.sampled_from([2, 4]),
    core_fraction=st.sampled_from([20, 100]),
    memory=st.sampled_from([2**30, 2**31]),
    disk=st.sampled_from([5 * 2**30]),
    metadata=st.dictionaries(
        st.sampled_from(["user-data", "samovar-role"]), st.text().filter(lambda text: "<" not in text)
    ).map(lambda entries: tuple(sorted(entries.items()))),
    security_group=st.sampled_from(["", "dev-nginx"]),
    service_account=st.sampled_from(["", "dev-nginx"]),
    token_forms=st.sampled_from([(), ("gce",), ("gce", "aws")]),
    data_disks=st.sampled_from([(), ("data=dev-nginx-data",), ("data=dev-nginx-data", "files=dev-nginx-files")]),
    public=st.booleans(),
)
templates |= templates.map(
    lambda template: replace(
        template,
        metadata=(("samovar-settings", "secrets:\n  certificate: <secret dev-certificate>\n"),),
        metadata_refs=(Ref(Kind.SECRET, "dev-certificate"),),
    )
)

rules = st.builds(
    AutoScale,
    type=st.sampled_from(["REGIONAL", "ZONAL"]),
    min_zone_size=st.integers(1, 100),
    max_size=st.integers(1, 100),
    cpu_utilization=st.sampled_from([0, 10, 75]),
    measurement_duration=st.integers(60, 600),
    warmup_duration=st.integers(0, 600),
    stabilization_duration=st.integers(60, 1800),
    custom_rules=st.lists(
        st.builds(
            CustomRule,
            metric_name=st.just("queue.messages"),
            rule_type=st.sampled_from(["UTILIZATION", "WORKLOAD"]),
            metric_type=st.sampled_from(["GAUGE", "COUNTER"]),
            target=st.sampled_from([0.5, 200]),
            labels=st.sampled_from([(), (("queue", "dj600"),)]),
            service=st.sampled_from(["", "compute"]),
            folder_id=st.sampled_from(["", "b1g1"]),
        ),
        max_size=3,
    ).map(tuple),
)

groups = st.builds(
    InstanceGroup,
    autoscale=st.none() | rules,
    size=st.integers(1, 100),
    zones=st.sampled_from([("ru-central1-a",), ("ru-central1-a", "ru-central1-b")]),
    template=templates,
    check=st.builds(HealthCheck, st.integers(1, 65535), st.sampled_from(["/", "/-/health"])),
    service_account=st.just("dev-groups"),
    balanced=st.booleans(),
    deploy=st.sampled_from([Deploy(), Deploy(max_unavailable=1, max_expansion=0)]),
    max_checking_health=st.sampled_from([600, 3600]),
    labels=LABELS,
    variables=st.sampled_from([(), ("color=blue",)]),
    other_checks=st.sampled_from([(), (HealthCheck(443, ""),)]),
)


class Recorder:
    """Stands in for a session: keeps the request and answers with an operation."""

    folder_id = "folder-1"

    def __init__(self) -> None:
        self.requests: list[Message] = []

    def client(self, stub: object) -> Recorder:
        assert stub is InstanceGroupServiceStub
        return self

    def Create(self, request: Message) -> Operation:  # noqa: N802 - an RPC bears its name in the API
        self.requests.append(request)
        return Operation()

    Update = Create


def context(session: Recorder | None = None) -> Context:
    return Context(cast("Session", session or Recorder()), "dev", dict(IDS), IMAGES)


@given(groups)
def test_a_group_message_is_read_as_its_spec(spec: InstanceGroup) -> None:
    message = groups_api.InstanceGroup(**group_fields(context(), Resource("dev-nginx", spec, "nginx")))
    assert InstanceGroupHandler().read(message, NAMES) == spec


@given(groups)
def test_create_requests_meet_the_constraints_of_the_api(spec: InstanceGroup) -> None:
    recorder = Recorder()
    InstanceGroupHandler().create(context(recorder), Resource("dev-nginx", spec, "nginx"))
    (request,) = recorder.requests
    assert list(violations(request)) == []


@given(groups)
def test_an_existing_disk_is_sent_by_its_id_alone(spec: InstanceGroup) -> None:
    """The protos call `disk_id` and `disk_spec` alternatives."""
    template = group_fields(context(), Resource("dev-nginx", spec, "nginx"))["instance_template"]
    assert not any(disk.HasField("disk_spec") for disk in template.secondary_disk_specs)


@given(groups, groups)
def test_the_update_mask_names_exactly_the_differing_fields(before: InstanceGroup, after: InstanceGroup) -> None:
    fields = tuple(name for name in before.differing(after) if name not in InstanceGroup.IMMUTABLE)
    recorder = Recorder()
    existing = Existing("dev-nginx", before, "nginx", "group-1")
    InstanceGroupHandler().update(context(recorder), existing, Resource("dev-nginx", after, "nginx"), fields)
    request = cast("groups_rpc.UpdateInstanceGroupRequest", recorder.requests[0])
    assert set(request.update_mask.paths) == {MASK[name] for name in fields}
    assert list(violations(request)) == []
    assert read_scale_policy(request.scale_policy) == (after.size, after.autoscale)


def test_every_field_of_a_group_can_be_updated() -> None:
    fixed = InstanceGroup.IMMUTABLE | InstanceGroup.CREATE_ONLY
    assert set(MASK) == {field.name for field in fields(InstanceGroup)} - fixed


def test_the_shipped_environment_replaces_machines_without_a_gap() -> None:
    resources = desired_of(DEV, {"samovar-edge": "samovar-nginx-0123456789ab"}).resources
    (spec,) = [resource.spec for resource in resources if isinstance(resource.spec, InstanceGroup)]
    deploy = group_fields(context(), Resource("dev-nginx", spec, "nginx"))["deploy_policy"]
    assert (deploy.max_unavailable, deploy.max_expansion) == (0, 1)
    assert deploy.minimal_action == groups_api.DeployPolicy.RECREATE


def test_an_unknown_reference_is_an_error() -> None:
    resources = desired_of(DEV, {"samovar-edge": "samovar-nginx-0123456789ab"}).resources
    (spec,) = [resource.spec for resource in resources if isinstance(resource.spec, InstanceGroup)]
    lost = replace(spec, service_account="nobody")
    with pytest.raises(KeyError):
        group_fields(context(), Resource("dev-nginx", lost, "nginx"))
