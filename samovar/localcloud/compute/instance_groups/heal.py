"""Autohealing (documented in autohealing.md): the dead at once, those that fail a check as the deploy policy allows."""

from __future__ import annotations

from samovar.localcloud.compute.instance_groups.effects import goal_of
from samovar.localcloud.compute.instance_groups.lifecycle import turn
from samovar.localcloud.compute.instance_groups.placement import is_misplaced
from samovar.localcloud.compute.instance_groups.plan import HALTED, Plan
from samovar.localcloud.compute.instance_groups.state import Compute, Goal, Healing, Member
from samovar.localcloud.compute.instance_groups.statuses import RUNNING, UP, Status

_HEALING = {Healing.NONE: Goal.STAY, Healing.RESTART: Goal.RESTART, Healing.RECREATE: Goal.RECREATE}
_SEVERITY = (Goal.STAY, Goal.STOP, Goal.RESTART, Goal.RECREATE, Goal.LEAVE)


def heal(plan: Plan) -> None:
    """A dead machine is unavailable as it is: no quota holds its healing back, and what else it waits for comes too."""
    for member in list(plan.members.values()):
        if goal := _goal_of_dead(plan, member):
            turn(plan, member, goal, f"Compute says {member.seen.compute.name}")


def _goal_of_dead(plan: Plan, member: Member) -> Goal | None:
    """None for a member that lives, or whose own next step deals with it."""
    compute = member.seen.compute
    if compute not in HALTED or member.goal is not Goal.STAY:
        return None
    goal = pending(plan, member)
    match member.status:
        case Status.CREATING_INSTANCE if compute is not Compute.ABSENT:
            return Goal.RECREATE
        case Status.STARTING_INSTANCE if compute in (Compute.ABSENT, Compute.ERROR):
            return Goal.RECREATE
        case Status.STOPPED if goal is not Goal.STAY:
            return goal
        case status:
            return goal if status in UP else None


def pending(plan: Plan, member: Member) -> Goal:
    """All that a machine has to go through once it is down anyway: healing, what was asked for, the new template."""
    if is_misplaced(plan.group, member):
        return Goal.LEAVE
    goals = (_HEALING[plan.group.healing], member.requested, goal_of(plan.effect(member)))
    return max(goals, key=_SEVERITY.index)


def failure(plan: Plan, member: Member) -> str:
    """Why a machine that runs is no good, or nothing."""
    group, waited = plan.group, plan.now - member.since
    if member.status in RUNNING and member.seen.healthy is False:
        return "its health check fails"
    if member.status is Status.CHECKING_HEALTH and 0 < group.max_checking_health <= waited:
        return f"not healthy within {group.max_checking_health:g} s"
    if member.status is Status.OPENING_TRAFFIC and 0 < group.max_opening_traffic <= waited:
        return f"no traffic within {group.max_opening_traffic:g} s"
    return ""
