"""A decision in the making: the members as the actions so far will leave them, and the deploy policy's quotas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from samovar.localcloud.compute.instance_groups.effects import effect_of
from samovar.localcloud.compute.instance_groups.state import (
    Action,
    Compute,
    CreateMember,
    DeleteMember,
    Effect,
    Goal,
    Group,
    Member,
    SaveMember,
)
from samovar.localcloud.compute.instance_groups.statuses import RUNNING, Status

HALTED = frozenset({Compute.ABSENT, Compute.STOPPED, Compute.CRASHED, Compute.ERROR})


def is_running(member: Member) -> bool:
    """As the quotas count: a machine in RUNNING_* runs, even one that fails its checks."""
    return member.status in RUNNING and member.seen.compute is Compute.RUNNING


def is_available(member: Member) -> bool:
    """As its users count: a machine whose loss would be felt."""
    return is_running(member) and member.seen.healthy is not False


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
        return self.see(member)

    def move(self, member: Member, status: Status, **changes: Any) -> Member:
        return self.save(replace(member, status=status, since=self.now, **changes))

    def see(self, member: Member) -> Member:
        """Takes the member for what an action is about to make it."""
        self._count(self.members[member.id], -1)
        self._count(member, 1)
        self.members[member.id] = member
        return member

    def order(self, member: Member, action: Action, expected: Compute) -> None:
        """Has something done to the member's machine, which brings it into the `expected` state at once."""
        self.do(action)
        self.see(replace(member, seen=replace(member.seen, compute=expected)))

    def create(self, member: Member) -> None:
        self.do(CreateMember(member))
        self._count(member, 1)
        self.created.append(member)

    def delete(self, member: Member) -> None:
        self.do(DeleteMember(member.id))
        self._count(self.members.pop(member.id), -1)

    def _count(self, member: Member, by: int) -> None:
        self.statuses[member.status] += by
        self.staying += by * (member.goal is not Goal.LEAVE)
        self.running += by * is_running(member)
        self.available += by * is_available(member)

    @property
    def existing(self) -> int:
        """All places of the group, those included whose machine is not deleted yet."""
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
        falling = (Status.CLOSING_TRAFFIC, Status.STOPPING_INSTANCE, Status.DELETING_INSTANCE)
        busy = sum(self.statuses[status] for status in falling)
        return not self.group.deploy.max_deleting or busy < self.group.deploy.max_deleting

    def may_take(self, member: Member) -> bool:
        """`max_unavailable`: whether the group can spare this machine now; one that does not run is no loss."""
        floor = self.group.size - self.group.deploy.max_unavailable
        if is_available(member):
            return self.available > floor
        return not is_running(member) or self.running > floor

    def effect(self, member: Member) -> Effect:
        """What the current template asks of the member's machine; of one that is not there, nothing."""
        if member.seen.compute is Compute.ABSENT:
            return Effect.NONE
        return effect_of(member.facets, self.group.facets, self.group.deploy.minimal_action)
