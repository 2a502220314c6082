"""A plan is a decision in the making: the members as the actions so far will leave them, and the policy's limits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from samovar.localcloud.compute.instance_groups.actions import Action, CreateMember, DeleteMember, SaveMember
from samovar.localcloud.compute.instance_groups.state import (
    RUNNING,
    Compute,
    Effect,
    Goal,
    Group,
    Member,
    Status,
    TemplateHash,
)

HALTED = frozenset({Compute.ABSENT, Compute.STOPPED, Compute.CRASHED, Compute.ERROR})


def is_running(member: Member) -> bool:
    """Return whether the deploy policy counts a machine as running, be it one that fails its checks."""
    return member.status in RUNNING and member.observed.compute is Compute.RUNNING


def is_available(member: Member) -> bool:
    """Return whether a machine serves its users, so that its loss would be felt."""
    return is_running(member) and member.observed.healthy is not False


class Plan:
    """Collects actions and keeps the counts that the next action of the same decision depends on."""

    def __init__(self, group: Group, members: Sequence[Member], now: float) -> None:
        self.group = group
        self.now = now
        self.actions: list[Action] = []
        self.members: dict[str, Member] = {}
        self.created: list[Member] = []
        self.statuses: Counter[Status] = Counter()
        self.staying = self.running = self.available = 0
        for member in members:
            self._count(member, 1)
            self.members[member.id] = member

    def do(self, action: Action) -> None:
        self.actions.append(action)

    def save(self, member: Member) -> Member:
        self.do(SaveMember(member))
        return self.count_as(member)

    def move(self, member: Member, status: Status) -> Member:
        return self.save(replace(member, status=status, since=self.now))

    def count_as(self, member: Member) -> Member:
        """Count the member as an action is about to change it."""
        self._count(self.members[member.id], -1)
        self._count(member, 1)
        self.members[member.id] = member
        return member

    def order(self, member: Member, action: Action, expected: Compute) -> None:
        """Add an action on the member's machine, which is in the `expected` state from then on."""
        self.do(action)
        self.count_as(replace(member, observed=replace(member.observed, compute=expected)))

    def create(self, member: Member) -> None:
        self.do(CreateMember(member))
        self._count(member, 1)
        self.created.append(member)

    def delete(self, member: Member) -> None:
        self.do(DeleteMember(member.id))
        self._count(self.members.pop(member.id), -1)

    def _count(self, member: Member, by: int) -> None:
        self.statuses[member.status] += by
        self.staying += by * (member.goal is not Goal.REMOVE)
        self.running += by * is_running(member)
        self.available += by * is_available(member)

    @property
    def existing(self) -> int:
        """The number of members, those included whose machine is not deleted yet."""
        return len(self.members) + len(self.created)

    @property
    def excess(self) -> int:
        return self.staying - self.group.size

    def may_create(self) -> bool:
        """`max_creating` limits the machines that are created or started at one time."""
        busy = self.statuses[Status.CREATING_INSTANCE] + self.statuses[Status.STARTING_INSTANCE]
        return not self.group.deploy.max_creating or busy < self.group.deploy.max_creating

    def may_stop(self) -> bool:
        """`max_deleting` limits the machines that are stopped or deleted at one time."""
        down = (Status.CLOSING_TRAFFIC, Status.STOPPING_INSTANCE, Status.DELETING_INSTANCE)
        busy = sum(self.statuses[status] for status in down)
        return not self.group.deploy.max_deleting or busy < self.group.deploy.max_deleting

    def may_take(self, member: Member) -> bool:
        """Return whether `max_unavailable` lets the group spare this machine now; one that does not run is no loss."""
        floor = self.group.size - self.group.deploy.max_unavailable
        if is_available(member):
            return self.available > floor
        return not is_running(member) or self.running > floor

    def effect(self, member: Member) -> Effect:
        """Return what the current template takes of the member's machine; of one that is not there, nothing."""
        if member.observed.compute is Compute.ABSENT:
            return Effect.NONE
        return effect_of(member.template, self.group.template, self.group.deploy.minimal_action)


def effect_of(old: TemplateHash, new: TemplateHash, minimal_action: Effect) -> Effect:
    """Return the worst of the changes between two templates, at least the group's minimal action; NONE without one.

    Documented in deploy/instance.md.
    """
    if old == new:
        return Effect.NONE
    if old.recreate != new.recreate:
        return Effect.RECREATE
    return max(minimal_action, Effect.LIVE if old.restart == new.restart else Effect.RESTART)


def goal_of(effect: Effect) -> Goal:
    """Return the goal of a machine for a change to take effect; a live change leaves it where it is."""
    return {Effect.RESTART: Goal.RESTART, Effect.RECREATE: Goal.RECREATE}.get(effect, Goal.STAY)


def is_misplaced(group: Group, member: Member) -> bool:
    """Return whether the allocation policy no longer has the member's zone, or its tag."""
    zone = next((zone for zone in group.zones if zone.id == member.zone), None)
    return zone is None or (member.tag not in zone.tags if zone.tags else bool(member.tag))
