"""Instance groups: equal machines that the cloud replaces when one fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1.instancegroup import instance_group_pb2 as api
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.labels import from_texts, to_texts
from samovar.cloud.session import Session
from samovar.deploy.resources.autoscale import AutoScale, build_scale_policy, read_scale_policy
from samovar.deploy.resources.deploy_policy import Deploy, build_deploy_policy, read_deploy_policy
from samovar.deploy.resources.disk import disk_space_quota
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started, started
from samovar.deploy.resources.health_check import HealthCheck, build_health_check, read_health_check
from samovar.deploy.resources.instance_template import Template, build_template, read_template
from samovar.deploy.resources.resource import Existing, Kind, Protectable, Ref, Resource

MAX_CHECKING_HEALTH = 600
"""Seconds after which a machine that was never healthy is recreated; one that boots slowly must have the time."""
MAX_SEEDING = 3600
"""The same where a machine first fills a data disk. Made anew it would begin again, and never end. A network-ssd writes
15 MB/s for each 32 GB (the documentation's compute/concepts/limits): in an hour 54 GB."""

MASK = {
    "size": "scale_policy",
    "autoscale": "scale_policy",
    "labels": "labels",
    "other_checks": "health_checks_spec",
    "variables": "variables",
    "balancing": "load_balancer_spec",
    "zones": "allocation_policy",
    "template": "instance_template",
    "check": "health_checks_spec",
    "max_checking_health": "health_checks_spec",
    "service_account": "service_account_id",
    "deploy": "deploy_policy",
    "healing": "auto_healing_policy",
    "deletion_protection": "deletion_protection",
}
"""The API's field for each field that can change."""


HealingAction = api.AutoHealingPolicy.AutoHealingAction
HALTED = frozenset({api.InstanceGroup.STOPPING, api.InstanceGroup.STOPPED, api.InstanceGroup.PAUSED})
"""The states of a group that changes no machine until it is started, or its processes are resumed."""
PAUSED = "PAUSED"


@dataclass(frozen=True)
class Balancing:
    """The way a group waits for its balancer; the tool leaves what the API has by default, and mends all else."""

    max_opening_seconds: int = 0
    ignore_health_checks: bool = False


@dataclass(frozen=True)
class InstanceGroup(Protectable):
    """A group of equal machines. With `balanced` it keeps a target group of its own name.

    With `autoscale` the cloud changes the number of machines: `size` is what it begins with, and the present number is
    no difference. `max_checking_health` are the seconds after which a machine that was never healthy is recreated;
    `healing` is what becomes of one that lost its health: RECREATE or RESTART. `labels` and `variables` are texts
    `key=value`. The tool gives a group neither `other_checks` nor `variables`, and takes them away. `halted` is the
    status of a group that somebody stopped or paused.
    """

    KIND = Kind.INSTANCE_GROUP
    IMMUTABLE = frozenset({"balanced"})
    CREATE_ONLY = frozenset({"halted"})
    QUOTA = "compute.instanceGroups.count"

    size: int
    zones: tuple[str, ...]
    template: Template
    check: HealthCheck
    service_account: str
    balanced: bool
    deploy: Deploy = field(default_factory=Deploy)
    max_checking_health: int = MAX_CHECKING_HEALTH
    healing: str = "RECREATE"
    autoscale: AutoScale | None = None
    labels: tuple[str, ...] = ()
    other_checks: tuple[HealthCheck, ...] = ()
    variables: tuple[str, ...] = ()
    balancing: Balancing = field(default_factory=Balancing)
    halted: str = ""

    def refs(self) -> Iterator[Ref]:
        yield Ref(Kind.SERVICE_ACCOUNT, self.service_account)
        yield Ref(Kind.NETWORK, self.template.network)
        yield from (Ref(Kind.SUBNET, name) for name in self.template.subnets)
        yield from self.template.refs()

    def quota_demand(self, *, rolling: bool) -> Mapping[str, int]:
        most = self.autoscale.max_size if self.autoscale else self.size
        machines = most + (self.deploy.max_expansion if rolling else 0)
        template = self.template
        demand = {
            self.QUOTA: 1,
            "compute.instances.count": machines,
            "compute.instanceCores.count": machines * template.cores,
            "compute.instanceMemory.size": machines * template.memory,
            "compute.disks.count": machines,
            disk_space_quota(template.disk_type): machines * template.disk,
        }
        if template.public:
            demand["vpc.externalAddresses.count"] = machines
        if self.balanced:
            demand["ylb.targetGroups.count"] = 1
        return demand


class GroupFields(TypedDict, total=False):
    """The fields that the requests of Create and Update share."""

    labels: Mapping[str, str]
    variables: Sequence[api.Variable]
    instance_template: api.InstanceTemplate
    scale_policy: api.ScalePolicy
    deploy_policy: api.DeployPolicy
    allocation_policy: api.AllocationPolicy
    health_checks_spec: api.HealthChecksSpec
    auto_healing_policy: api.AutoHealingPolicy
    service_account_id: str
    deletion_protection: bool
    load_balancer_spec: api.LoadBalancerSpec


class InstanceGroupHandler(Handler[InstanceGroup, api.InstanceGroup]):
    """Creates groups whose failed machines are recreated."""

    KIND = Kind.INSTANCE_GROUP

    def list(self, session: Session) -> list[api.InstanceGroup]:
        request = rpc.ListInstanceGroupsRequest(folder_id=session.folder_id, view=rpc.InstanceGroupView.FULL)
        return session.list(session.client(InstanceGroupServiceStub).List, request, lambda page: page.instance_groups)

    def aliases(self, message: api.InstanceGroup) -> Mapping[str, str]:
        target_group = message.load_balancer_state.target_group_id
        return {target_group: message.name} if target_group else {}

    def read(self, message: api.InstanceGroup, index: IdIndex) -> InstanceGroup:
        check, *others = map(
            read_health_check, message.health_checks_spec.health_check_specs or [api.HealthCheckSpec()]
        )
        size, autoscale = read_scale_policy(message.scale_policy)
        return InstanceGroup(
            size=size,
            autoscale=autoscale,
            zones=tuple(sorted(zone.zone_id for zone in message.allocation_policy.zones)),
            template=read_template(message.instance_template, index),
            check=check,
            other_checks=tuple(others),
            labels=to_texts(message.labels),
            variables=to_texts({each.key: each.value for each in message.variables}),
            balancing=_read_balancing(message.load_balancer_spec),
            service_account=index.name_of(message.service_account_id),
            balanced=message.HasField("load_balancer_spec"),
            deploy=read_deploy_policy(message.deploy_policy),
            max_checking_health=message.health_checks_spec.max_checking_health_duration.seconds,
            healing=HealingAction.Name(message.auto_healing_policy.auto_healing_action),
            deletion_protection=message.deletion_protection,
            halted=api.InstanceGroup.Status.Name(message.status) if message.status in HALTED else "",
        )

    def create(self, context: Context, resource: Resource[InstanceGroup]) -> Started:
        request = rpc.CreateInstanceGroupRequest(
            folder_id=context.session.folder_id,
            name=resource.name,
            **group_fields(context, resource),
        )
        operation = context.session.client(InstanceGroupServiceStub).Create(request)
        return started(operation, rpc.CreateInstanceGroupMetadata(), lambda metadata: metadata.instance_group_id)

    def update(
        self,
        context: Context,
        existing: Existing[InstanceGroup],
        desired: Resource[InstanceGroup],
        fields: tuple[str, ...],
    ) -> Started:
        """Start the change. The API demands all fields of a group, whatever the mask says."""
        request = rpc.UpdateInstanceGroupRequest(
            instance_group_id=existing.id,
            update_mask=FieldMask(paths=sorted({MASK[name] for name in fields})),
            **group_fields(context, desired),
        )
        return Started(existing.id, context.session.client(InstanceGroupServiceStub).Update(request))

    def delete(self, session: Session, existing: Existing[InstanceGroup]) -> Operation:
        request = rpc.DeleteInstanceGroupRequest(instance_group_id=existing.id)
        return session.client(InstanceGroupServiceStub).Delete(request)


def group_fields(context: Context, resource: Resource[InstanceGroup]) -> GroupFields:
    """Return the fields of a request that creates or updates the group."""
    spec = resource.spec
    zones = [api.AllocationPolicy.Zone(zone_id=zone) for zone in spec.zones]
    shared: GroupFields = {
        "labels": from_texts(spec.labels),
        "variables": [api.Variable(key=key, value=value) for key, value in from_texts(spec.variables).items()],
        "instance_template": build_template(spec.template, context),
        "scale_policy": build_scale_policy(spec.size, spec.autoscale),
        "deploy_policy": build_deploy_policy(spec.deploy),
        "allocation_policy": api.AllocationPolicy(zones=zones),
        "health_checks_spec": _health_checks((spec.check, *spec.other_checks), spec.max_checking_health),
        "auto_healing_policy": api.AutoHealingPolicy(auto_healing_action=HealingAction.Value(spec.healing)),
        "service_account_id": context.id(Kind.SERVICE_ACCOUNT, spec.service_account),
        "deletion_protection": spec.deletion_protection,
    }
    if spec.balanced:
        opening = spec.balancing.max_opening_seconds
        target_group = api.TargetGroupSpec(name=resource.name, labels=context.labels(resource))
        shared["load_balancer_spec"] = api.LoadBalancerSpec(
            target_group_spec=target_group,
            max_opening_traffic_duration=Duration(seconds=opening) if opening else None,
            ignore_health_checks=spec.balancing.ignore_health_checks,
        )
    return shared


def _read_balancing(message: api.LoadBalancerSpec) -> Balancing:
    return Balancing(message.max_opening_traffic_duration.seconds, message.ignore_health_checks)


def _health_checks(checks: Sequence[HealthCheck], max_checking_health: int) -> api.HealthChecksSpec:
    return api.HealthChecksSpec(
        health_check_specs=[build_health_check(api.HealthCheckSpec(), check) for check in checks],
        max_checking_health_duration=Duration(seconds=max_checking_health),
    )
