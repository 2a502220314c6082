"""Replaces members: failed ones first, then misplaced ones, those that the owner named, and those of an old template.

It also keeps the number of machines: the group's size, and for a while as many more as `max_expansion` allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from samovar.localcloud.compute.instance_groups.actions import Log
from samovar.localcloud.compute.instance_groups.healing import failure, pending
from samovar.localcloud.compute.instance_groups.placement import Placement, Surplus
from samovar.localcloud.compute.instance_groups.plan import Plan, goal_of, is_misplaced
from samovar.localcloud.compute.instance_groups.state import BOOTING, UP, Effect, Goal, Member
from samovar.localcloud.compute.instance_groups.teardown import begin_teardown


@dataclass(frozen=True)
class Renewal:
    """A member that is to be replaced, the reason, and its rank: the lower, the sooner."""

    member: Member
    goal: Goal
    why: str
    rank: int


def renewals(plan: Plan) -> list[Renewal]:
    """Return the queue, the next one first; the fullest zone's come last, for the last ones may leave for good."""
    queue = [renewal for member in plan.members.values() for renewal in _renewal(plan, member)]
    if not queue and not plan.group.deploy.opportunistic and (member := Surplus(plan).of_crowded_zone()):
        return [Renewal(member, Goal.REMOVE, "its zone has more than another", 4)]
    load = Counter(member.zone for member in plan.members.values() if member.goal is not Goal.REMOVE)
    return sorted(queue, key=lambda renewal: (renewal.rank, load[renewal.member.zone], renewal.member.index))


def _renewal(plan: Plan, member: Member) -> Iterator[Renewal]:
    if member.goal is not Goal.STAY or member.status not in UP | BOOTING:
        return
    failed = failure(plan, member)
    if failed and (goal := pending(plan, member)) is not Goal.STAY:
        yield Renewal(member, goal, failed, 0)
    elif plan.group.deploy.opportunistic:
        return
    elif is_misplaced(plan.group, member):
        yield Renewal(member, Goal.REMOVE, "its zone or tag is no longer the group's", 1)
    elif member.requested is not Goal.STAY:
        goal = Goal.RECREATE if plan.effect(member) is Effect.RECREATE else member.requested
        yield Renewal(member, goal, "its owner asked for it", 2)
    elif plan.effect(member) > Effect.LIVE:
        yield Renewal(member, goal_of(plan.effect(member)), "the template changed", 3)


def renew(plan: Plan) -> int:
    """Tear down the members that the group can spare; return how many wait for `max_expansion` to make room.

    While there are more machines than the group's size, the last ones to go leave for good (documented in deploy.md);
    with tags all are renewed in their place, so that the tags stay the first ones.
    """
    queue = renewals(plan)
    blocked = 0
    for waiting, renewal in zip(range(len(queue), 0, -1), queue, strict=True):
        if not plan.may_take(renewal.member):
            blocked += 1
            continue
        leaves = not renewal.member.tag and waiting + blocked <= plan.excess
        begin_teardown(plan, renewal.member, Goal.REMOVE if leaves else renewal.goal, renewal.why)
    return blocked


def grow(plan: Plan, blocked: int) -> None:
    """Create what is missing, and an extra machine for each that waits to be spared."""
    deploy = plan.group.deploy
    target = plan.group.size + min(deploy.max_expansion, blocked)
    room = plan.group.size + deploy.max_expansion - plan.existing
    missing = min(target - plan.staying, room)
    if missing <= 0:
        return
    placement = Placement(plan, going=(renewal.member.id for renewal in renewals(plan)))
    for _ in range(missing):
        member = placement.take() if plan.may_create() else None
        if member is None:
            break
        plan.create(member)
    if plan.created:
        plan.do(Log("", f"create {len(plan.created)}: {plan.staying} of {target} machines"))


def shrink(plan: Plan) -> None:
    """Remove machines beyond the size, but for the extra ones that renewals still need."""
    if plan.excess <= 0:
        return
    keep = min(plan.group.deploy.max_expansion, len(renewals(plan)))
    surplus = Surplus(plan)
    while plan.excess > keep and plan.may_stop() and (member := surplus.pop()):
        begin_teardown(plan, member, Goal.REMOVE, f"{plan.staying} machines, {plan.group.size} wanted")
