"""Who has to go, why and where to: the failed first, then the misplaced, those asked for, those of an old template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from samovar.localcloud.compute.instance_groups.effects import goal_of
from samovar.localcloud.compute.instance_groups.heal import failure, pending
from samovar.localcloud.compute.instance_groups.lifecycle import turn
from samovar.localcloud.compute.instance_groups.placement import is_misplaced
from samovar.localcloud.compute.instance_groups.plan import Plan
from samovar.localcloud.compute.instance_groups.scale_in import Surplus
from samovar.localcloud.compute.instance_groups.state import Effect, Goal, Member
from samovar.localcloud.compute.instance_groups.statuses import BOOTING, UP


@dataclass(frozen=True)
class Renewal:
    """`rank`: the lower, the sooner."""

    member: Member
    goal: Goal
    why: str
    rank: int


def renewals(plan: Plan) -> list[Renewal]:
    """The queue, the next one first; the fullest zone's come last, for the last ones may leave for good."""
    found = [renewal for member in plan.members.values() for renewal in _renewal(plan, member)]
    if not found and not plan.group.deploy.opportunistic and (member := Surplus(plan).of_crowded_zone()):
        return [Renewal(member, Goal.LEAVE, "its zone has more than another", 4)]
    load = Counter(member.zone for member in plan.members.values() if member.goal is not Goal.LEAVE)
    return sorted(found, key=lambda renewal: (renewal.rank, load[renewal.member.zone], renewal.member.index))


def _renewal(plan: Plan, member: Member) -> Iterator[Renewal]:
    if member.goal is not Goal.STAY or member.status not in UP | BOOTING:
        return
    failed = failure(plan, member)
    if failed and (goal := pending(plan, member)) is not Goal.STAY:
        yield Renewal(member, goal, failed, 0)
    elif plan.group.deploy.opportunistic:
        return
    elif is_misplaced(plan.group, member):
        yield Renewal(member, Goal.LEAVE, "its zone or tag is no longer the group's", 1)
    elif member.requested is not Goal.STAY:
        goal = Goal.RECREATE if plan.effect(member) is Effect.RECREATE else member.requested
        yield Renewal(member, goal, "its owner asked for it", 2)
    elif plan.effect(member) > Effect.LIVE:
        yield Renewal(member, goal_of(plan.effect(member)), "the template changed", 3)


def renew(plan: Plan) -> int:
    """Takes those that the group can spare; returns how many wait for `max_expansion` to make room.

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
        turn(plan, renewal.member, Goal.LEAVE if leaves else renewal.goal, renewal.why)
    return blocked
