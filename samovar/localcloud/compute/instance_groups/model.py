"""Instance groups in the store: their members, what is noted of each member, and the log.

A member is a ManagedInstance, stored under its group's id.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import (
    AutoHealingPolicy,
    DeployPolicy,
    HealthCheckSpec,
    InstanceGroup,
    LogRecord,
    ManagedInstance,
)
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup

from samovar.core.constants import REGION
from samovar.localcloud.api.errors import not_found, precondition
from samovar.localcloud.compute.instance_groups.state import Goal, TemplateHash
from samovar.localcloud.load_balancer.network_load_balancers.model import fill_check
from samovar.localcloud.load_balancer.target_groups.model import TargetGroups
from samovar.localcloud.quota_manager.model import Quota, check_quota
from samovar.localcloud.resources.model import Repository, stamp
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import NoteKey, Store

ID_PREFIX = "cl1"


class _TemplateNote(TypedDict):
    live: str | None
    restart: str | None
    recreate: str | None


class MemberNote(TypedDict):
    """A MemberRecord as it is stored."""

    facets: _TemplateNote
    index: int
    index_in_zone: int
    short_id: str
    goal: NotRequired[str]
    attempts: NotRequired[int]


REQUESTED = NoteKey[str]("member.requested")
"""A note on a member: the goal that the owner of the group asked for, until it is begun."""
RECORD = NoteKey[MemberNote]("member.kept")
"""A note on a member: its MemberRecord."""
FAILURE = NoteKey[str]("member.failure")
"""A note on a member: what went wrong with its instances since it last served."""
LOG = NoteKey[list[tuple[float, str]]]("group.log")
"""A note on a group: the seconds and the text of each record; JSON has a pair as a list of two."""
LOG_LENGTH = 1000
LARGEST = 100
"""The machines of a group that is scaled by load without a bound of its own, as the API's description says."""
DEFAULT_MEASUREMENT = 60
"""Seconds for which the load is measured, unless a group states others, as the API's description says."""
RUNNING = frozenset({ManagedInstance.RUNNING_ACTUAL, ManagedInstance.RUNNING_OUTDATED})


@dataclass(frozen=True)
class MemberRecord:
    """The facts of a member for which ManagedInstance has no field; stored as a note."""

    index: int
    index_in_zone: int
    short_id: str
    template: TemplateHash
    goal: str = Goal.STAY.value
    attempts: int = 0

    @classmethod
    def parse(cls, note: MemberNote) -> MemberRecord:
        return cls(
            template=TemplateHash(**note["facets"]),
            index=note["index"],
            index_in_zone=note["index_in_zone"],
            short_id=note["short_id"],
            goal=note.get("goal", Goal.STAY.value),
            attempts=note.get("attempts", 0),
        )

    def note(self) -> MemberNote:
        """Return the record as it is stored."""
        template = self.template
        return MemberNote(
            facets=_TemplateNote(live=template.live, restart=template.restart, recreate=template.recreate),
            index=self.index,
            index_in_zone=self.index_in_zone,
            short_id=self.short_id,
            goal=self.goal,
            attempts=self.attempts,
        )


class InstanceGroups(Repository[InstanceGroup]):
    """The groups, with their members and their logs."""

    kind, id_prefix = InstanceGroup, ID_PREFIX
    count_quota = Quota("compute.instanceGroups.count", InstanceGroup, 10)

    def __init__(self, store: Store, *, target_groups_come_late: bool = False) -> None:
        """A group whose target group comes late has none in the answer to its creation: its controller makes it."""
        super().__init__(store)
        self.target_groups_come_late = target_groups_come_late

    def move(self, group: InstanceGroup, status: InstanceGroup.Status.ValueType) -> None:
        group.status = status
        self.put(group)

    def shrink(self, group: InstanceGroup, by: int) -> None:
        """Lower the size of a group, which keeps at least one machine."""
        if group.scale_policy.WhichOneof("scale_type") != "fixed_scale":
            raise precondition(f"InstanceGroup {group.id} has no fixed size; create_another replaces its machines")
        scale = group.scale_policy.fixed_scale
        if scale.size <= by:
            raise precondition(f"InstanceGroup {group.id} keeps at least one machine; create_another replaces them")
        scale.size -= by
        self.put(group)

    def members_named(self, group_id: str, member_ids: Collection[str]) -> list[ManagedInstance]:
        """Return the members with these ids, each once. Raises Refused with NOT_FOUND."""
        by_id = {member.id: member for member in members_of(self.store, group_id)}
        for member_id in member_ids:
            if member_id not in by_id:
                raise not_found("ManagedInstance", member_id)
        return [by_id[member_id] for member_id in dict.fromkeys(member_ids)]

    def is_leaving(self, member: ManagedInstance) -> bool:
        """Return whether a member is being removed, or is to be."""
        record = self.store.noted(member.id, RECORD)
        goals = (record and record.get("goal"), self.store.noted(member.id, REQUESTED))
        return Goal.REMOVE.value in goals

    def make_target_group(self, group: InstanceGroup) -> TargetGroup:
        check_quota(self.store, TargetGroups.count_quota)
        spec = group.load_balancer_spec.target_group_spec
        target_group = TargetGroup(
            id=TargetGroups(self.store).new_id(),
            folder_id=group.folder_id,
            name=spec.name,
            description=spec.description,
            labels=spec.labels,
            region_id=REGION,
        )
        stamp(target_group)
        self.store.put(target_group)
        return target_group

    def log_records(self, group_id: str) -> list[LogRecord]:
        """Return the records of a group's log, the newest first."""
        records = self.store.noted(group_id, LOG, [])
        return [_log_record(seconds, text) for seconds, text in reversed(records)]


def new_member_id() -> str:
    """Return the id of a new managed instance."""
    return new_id(ID_PREFIX)


def members_of(store: Store, group_id: str) -> list[ManagedInstance]:
    """Return a group's managed instances."""
    return store.all(ManagedInstance, scope=group_id)


def record_of(store: Store, member_id: str) -> MemberRecord:
    """Return the record of a member."""
    return MemberRecord.parse(store.must_note(member_id, RECORD))


def add_log_record(store: Store, group_id: str, now: float, text: str) -> None:
    """Add to a group's log; the oldest records are dropped."""
    records = store.noted(group_id, LOG, [])
    records.append((now, text))
    store.note(group_id, LOG, records[-LOG_LENGTH:])


def checks_of(group: InstanceGroup) -> Iterable[HealthCheckSpec]:
    """Return the group's own health checks; a machine is healthy when all of them pass."""
    return group.health_checks_spec.health_check_specs


def is_autoscaled(group: InstanceGroup) -> bool:
    """Return whether a group is scaled by load."""
    return group.scale_policy.WhichOneof("scale_type") == "auto_scale"


def target_size(group: InstanceGroup) -> int:
    """Return how many machines a group is to have now."""
    if not is_autoscaled(group):
        return group.scale_policy.fixed_scale.size
    present = group.managed_instances_state.target_size
    return min(max(present, smallest_size(group)), largest_size(group)) if present else initial_size(group)


def initial_size(group: InstanceGroup) -> int:
    """Return how many machines a group that is scaled by load begins with."""
    return max(group.scale_policy.auto_scale.initial_size, smallest_size(group))


def smallest_size(group: InstanceGroup) -> int:
    """Return how many machines a group that is scaled by load keeps."""
    return max(group.scale_policy.auto_scale.min_zone_size * len(group.allocation_policy.zones), 1)


def largest_size(group: InstanceGroup) -> int:
    """Return how many machines a group has at most."""
    policy = group.scale_policy
    return (policy.auto_scale.max_size or LARGEST) if is_autoscaled(group) else policy.fixed_scale.size


def fill_counts(store: Store, group: InstanceGroup) -> None:
    """Set the counts of members by status, which are not stored."""
    statuses = [member.status for member in members_of(store, group.id)]
    state = group.managed_instances_state
    state.target_size = target_size(group)
    state.running_actual_count = statuses.count(ManagedInstance.RUNNING_ACTUAL)
    state.running_outdated_count = statuses.count(ManagedInstance.RUNNING_OUTDATED)
    state.processing_count = sum(status not in RUNNING for status in statuses)


def fill_defaults(group: InstanceGroup) -> None:
    """Set the documented defaults, so that what is read back has no gaps: clients crash where one is absent.

    The machines' names get none: Yandex's own provider plans to take away again a name that its configuration lacks.
    """
    policy, template = group.deploy_policy, group.instance_template
    policy.strategy = policy.strategy or DeployPolicy.PROACTIVE
    policy.minimal_action = policy.minimal_action or DeployPolicy.LIVE_UPDATE
    healing = group.auto_healing_policy
    healing.auto_healing_action = healing.auto_healing_action or AutoHealingPolicy.RESTART
    template.resources_spec.core_fraction = template.resources_spec.core_fraction or 100
    scale = group.scale_policy.auto_scale
    if is_autoscaled(group) and not scale.HasField("measurement_duration"):
        scale.measurement_duration.seconds = DEFAULT_MEASUREMENT
    for check in checks_of(group):
        fill_check(check)


def _log_record(seconds: float, text: str) -> LogRecord:
    record = LogRecord(message=text)
    record.timestamp.FromNanoseconds(int(seconds * 1e9))
    return record
