"""Autohealing (documented in autohealing.md): dead machines at once, failing ones as the deploy policy allows."""

from __future__ import annotations

from samovar.localcloud.compute.instance_groups.plan import HALTED, Plan, goal_of, is_misplaced
from samovar.localcloud.compute.instance_groups.state import RUNNING, UP, Compute, Goal, Healing, Member, Status
from samovar.localcloud.compute.instance_groups.teardown import begin_teardown

_HEALING = {Healing.NONE: Goal.STAY, Healing.RESTART: Goal.RESTART, Healing.RECREATE: Goal.RECREATE}
_SEVERITY = (Goal.STAY, Goal.STOP, Goal.RESTART, Goal.RECREATE, Goal.REMOVE)


def heal(plan: Plan) -> None:
    """Heal dead machines. They are unavailable as it is, so no limit holds that back."""
    for member in list(plan.members.values()):
        if goal := _goal_of_dead(plan, member):
            begin_teardown(plan, member, goal, f"Compute says {member.observed.compute.name}")


def _goal_of_dead(plan: Plan, member: Member) -> Goal | None:
    """Return None for a member that lives, or whose own next step deals with it."""
    compute = member.observed.compute
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
    """Return the goal that covers all a machine needs once it is down: healing, its owner's wish, the new template."""
    if is_misplaced(plan.group, member):
        return Goal.REMOVE
    goals = (_HEALING[plan.group.healing], member.requested, goal_of(plan.effect(member)))
    return max(goals, key=_SEVERITY.index)


def failure(plan: Plan, member: Member) -> str:
    """Return why a machine that runs must be healed, or nothing."""
    group, waited = plan.group, plan.now - member.since
    if member.status in RUNNING and member.observed.healthy is False:
        return "its health check fails"
    if member.status is Status.CHECKING_HEALTH and 0 < group.max_checking_health <= waited:
        return f"not healthy within {group.max_checking_health:g} s"
    if member.status is Status.OPENING_TRAFFIC and 0 < group.max_opening_traffic <= waited:
        return f"no traffic within {group.max_opening_traffic:g} s"
    return ""
