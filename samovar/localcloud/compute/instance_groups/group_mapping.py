"""Maps instance groups and their members, as the store holds them, to the values that `decide` takes."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import replace

from google.protobuf.duration_pb2 import Duration
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import DeployPolicy as ApiDeployPolicy
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import (
    InstanceGroup,
    InstanceTemplate,
    ManagedInstance,
    Variable,
)

from samovar.localcloud.compute.instance_groups.model import MemberRecord, target_size
from samovar.localcloud.compute.instance_groups.state import (
    Compute,
    DeployPolicy,
    Effect,
    Goal,
    Group,
    GroupState,
    Healing,
    Member,
    Observed,
    Status,
    TemplateHash,
    Zone,
)
from samovar.localcloud.resources.model import copy_field

DRAIN = 1.0
"""Seconds that a machine keeps running once its traffic is closed, for the requests that it has taken."""

EFFECTS = {
    ApiDeployPolicy.LIVE_UPDATE: Effect.LIVE,
    ApiDeployPolicy.RESTART: Effect.RESTART,
    ApiDeployPolicy.RECREATE: Effect.RECREATE,
}
LIVE = frozenset({"name", "description", "labels", "service_account_id"})
RECREATE = frozenset({"network_interface_specs", "secondary_disk_specs", "scheduling_policy", "placement_policy"})
COMPUTE = {
    Instance.PROVISIONING: Compute.PROVISIONING,
    Instance.RUNNING: Compute.RUNNING,
    Instance.STOPPING: Compute.STOPPING,
    Instance.STOPPED: Compute.STOPPED,
    Instance.STARTING: Compute.STARTING,
    Instance.RESTARTING: Compute.RESTARTING,
    Instance.UPDATING: Compute.UPDATING,
    Instance.ERROR: Compute.ERROR,
    Instance.CRASHED: Compute.CRASHED,
    Instance.DELETING: Compute.DELETING,
}


def group_value(group: InstanceGroup, *, opens_traffic: bool) -> Group:
    """Return a group; with `opens_traffic` its target group is attached to a balancer."""
    policy = group.deploy_policy
    return Group(
        size=target_size(group),
        zones=tuple(Zone(zone.zone_id, tuple(zone.instance_tags_pool)) for zone in group.allocation_policy.zones),
        template=template_hash(group.instance_template, group.variables),
        deploy=DeployPolicy(
            max_unavailable=policy.max_unavailable,
            max_expansion=policy.max_expansion,
            max_creating=policy.max_creating,
            max_deleting=policy.max_deleting,
            startup_duration=seconds(policy.startup_duration),
            opportunistic=policy.strategy == ApiDeployPolicy.OPPORTUNISTIC,
            minimal_action=EFFECTS[policy.minimal_action],
        ),
        healing=Healing(group.auto_healing_policy.auto_healing_action),
        state=GroupState(group.status),
        has_checks=bool(group.health_checks_spec.health_check_specs),
        max_checking_health=seconds(group.health_checks_spec.max_checking_health_duration),
        has_target_group=bool(group.load_balancer_state.target_group_id),
        opens_traffic=opens_traffic and not group.load_balancer_spec.ignore_health_checks,
        max_opening_traffic=seconds(group.load_balancer_spec.max_opening_traffic_duration),
        drain=DRAIN if opens_traffic else 0.0,
    )


def template_hash(template: InstanceTemplate, variables: Iterable[Variable]) -> TemplateHash:
    """Return digests of a template's parts by what a change of each takes; a variable may stand in any of them."""
    rest = {field.name for field in template.DESCRIPTOR.fields} - LIVE - RECREATE
    return TemplateHash(
        live=_digest(template, LIVE), restart=_digest(template, rest, *variables), recreate=_digest(template, RECREATE)
    )


def member_value(managed: ManagedInstance, record: MemberRecord, requested: str | None, observed: Observed) -> Member:
    """Return a member: its record, what its owner asked for, and what is observed of it now."""
    return Member(
        id=managed.id,
        index=record.index,
        index_in_zone=record.index_in_zone,
        zone=managed.zone_id,
        tag=managed.instance_tag,
        status=Status(managed.status),
        since=managed.status_changed_at.ToNanoseconds() / 1e9,
        template=record.template,
        goal=Goal(record.goal),
        requested=Goal(requested) if requested else Goal.STAY,
        attempts=record.attempts,
        observed=observed,
    )


def write_member(managed: ManagedInstance, record: MemberRecord, member: Member) -> MemberRecord:
    """Bring a managed instance up to what was decided; return the record that belongs to it."""
    managed.status = ManagedInstance.Status.Value(member.status.name)
    managed.status_changed_at.FromNanoseconds(round(member.since * 1e9))
    managed.zone_id, managed.instance_tag = member.zone, member.tag
    return replace(record, template=member.template, goal=member.goal.value, attempts=member.attempts)


def _digest(template: InstanceTemplate, fields: Collection[str], *variables: Variable) -> str:
    part = InstanceTemplate()
    for field in fields:
        copy_field(template, part, field)
    parts = (message.SerializeToString(deterministic=True) for message in (part, *variables))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def seconds(duration: Duration) -> float:
    """Return a duration in seconds."""
    return duration.ToTimedelta().total_seconds()
