"""Fixed scale: as many machines as wanted, and for a while as many more as `max_expansion` allows."""

from __future__ import annotations

from collections import Counter

from localcloud.instancegroups.lifecycle import turn
from localcloud.instancegroups.model import Effect, Goal, Log, Member
from localcloud.instancegroups.placement import Placement
from localcloud.instancegroups.plan import Plan, is_available
from localcloud.instancegroups.renew import renewals


def grow(plan: Plan, blocked: int) -> None:
    """Creates what is missing, and an extra machine for each that waits to be spared."""
    deploy = plan.group.deploy
    target = plan.group.size + min(deploy.max_expansion, blocked)
    room = plan.group.size + deploy.max_expansion - plan.existing
    missing = min(target - plan.staying, room)
    if missing <= 0 or not plan.may_create():
        return
    placement = Placement(plan, going=(renewal.member.id for renewal in renewals(plan)))
    before = len(plan.created)
    while len(plan.created) - before < missing and plan.may_create() and (member := placement.take()):
        plan.create(member)
    if plan.created:
        plan.do(Log("", f"create {len(plan.created)}: {plan.staying} of {target} machines"))


def shrink(plan: Plan) -> None:
    """Sends away what is over the size, but for the extra machines that renewals still need."""
    keep = min(plan.group.deploy.max_expansion, len(renewals(plan))) if plan.excess > 0 else 0
    while plan.excess > keep and (member := _surplus(plan)):
        before = plan.excess
        turn(plan, member, Goal.LEAVE, f"{plan.staying} machines, {plan.group.size} wanted")
        if plan.excess == before:
            return


def _surplus(plan: Plan) -> Member | None:
    """Of the fullest zone: its last tag; without tags the failed and old ones first, then the highest index."""
    staying = [member for member in plan.members.values() if member.goal is not Goal.LEAVE]
    load = Counter(member.zone for member in staying)
    order = sorted(staying, key=lambda member: (-load[member.zone], *_worth(plan, member)))
    return next((member for member in order if plan.may_take(member)), None)


def _worth(plan: Plan, member: Member) -> tuple[int, bool, bool, int]:
    pools = {zone.id: zone.tags for zone in plan.group.zones}
    tags = pools.get(member.zone, ())
    position = tags.index(member.tag) if member.tag in tags else len(tags)
    return -position, is_available(member), plan.effect(member) is Effect.NONE, -member.index
