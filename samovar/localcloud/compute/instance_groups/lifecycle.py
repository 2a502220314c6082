"""One member's way through its statuses, for as long as what is seen allows the next step."""

from __future__ import annotations

from dataclasses import replace

from samovar.localcloud.compute.instance_groups.plan import HALTED, Plan
from samovar.localcloud.compute.instance_groups.startup import STEPS_UP
from samovar.localcloud.compute.instance_groups.state import Goal, Log, Member
from samovar.localcloud.compute.instance_groups.statuses import FALLING, Status
from samovar.localcloud.compute.instance_groups.teardown import STEPS_DOWN

_STEPS = {**STEPS_UP, **STEPS_DOWN}


def advance(plan: Plan, member_id: str) -> None:
    """Takes every step that is due; what an action will do is taken as seen, so the chain ends by itself."""
    while (member := plan.members.get(member_id)) and _STEPS[member.status](plan, member):
        pass


def turn(plan: Plan, member: Member, goal: Goal, why: str) -> None:
    """Sends the member down, with `goal` for what comes then; waits for a slot of `max_deleting` where it runs."""
    halted = member.seen.compute in HALTED
    if member.status not in FALLING and not halted and not plan.may_stop():
        return
    plan.do(Log(member.id, f"{goal.value}: {why}"))
    member = replace(member, goal=goal, requested=Goal.STAY)
    if member.status in FALLING:
        plan.save(member)
    elif member.seen.registered:
        plan.move(member, Status.CLOSING_TRAFFIC)
    else:
        plan.move(member, Status.STOPPED if halted else Status.STOPPING_INSTANCE)
    advance(plan, member.id)
