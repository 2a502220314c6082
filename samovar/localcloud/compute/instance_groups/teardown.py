"""The steps of tearing down: traffic closed, the machine stopped, then updated, deleted or restarted (deploy.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from samovar.localcloud.compute.instance_groups.actions import (
    DeleteInstance,
    Log,
    RemoveTarget,
    StopInstance,
    UpdateInstance,
)
from samovar.localcloud.compute.instance_groups.plan import HALTED, Plan, goal_of
from samovar.localcloud.compute.instance_groups.startup import STEPS_UP, running_status
from samovar.localcloud.compute.instance_groups.state import RUNNING, TEARDOWN, Compute, Effect, Goal, Member, Status

SERVED = 10.0
"""Seconds (assumed). A machine that dies earlier is started again ever less often, as one that does not start is."""


def _close(plan: Plan, member: Member) -> bool:
    if member.observed.registered:
        plan.do(RemoveTarget(member.id))
        plan.count_as(replace(member, observed=replace(member.observed, registered=False)))
        return True
    halted = member.observed.compute in HALTED
    if not halted and plan.now - member.since < plan.group.drain:
        return False
    plan.move(member, Status.STOPPED if halted else Status.STOPPING_INSTANCE)
    return True


def _stop(plan: Plan, member: Member) -> bool:
    if member.observed.compute in HALTED:
        plan.move(member, Status.STOPPED)
        return True
    if member.observed.compute in (Compute.STOPPING, Compute.UPDATING, Compute.DELETING):
        return False
    plan.order(member, StopInstance(member.id), Compute.STOPPING)
    return True


def _stopped(plan: Plan, member: Member) -> bool:
    match member.goal:
        case Goal.RESTART:
            return _restart(plan, member)
        case Goal.RECREATE | Goal.REMOVE:
            return _begin_delete(plan, member)
        case Goal.STAY if member.observed.compute is Compute.RUNNING:
            plan.move(member, Status.STARTING_INSTANCE)
            return True
        case _:
            return False


def _restart(plan: Plan, member: Member) -> bool:
    effect = plan.effect(member)
    lost = member.observed.compute in (Compute.ABSENT, Compute.ERROR)
    if lost or goal_of(effect) is Goal.RECREATE:
        plan.save(replace(member, goal=Goal.RECREATE))
    elif effect is not Effect.NONE:
        template = replace(member.template, live=None, restart=None)
        plan.move(replace(member, template=template), Status.UPDATING_INSTANCE)
    elif plan.may_create():
        plan.move(replace(member, goal=Goal.STAY), Status.STARTING_INSTANCE)
    else:
        return False
    return True


def _begin_delete(plan: Plan, member: Member) -> bool:
    if not plan.may_stop():
        return False
    plan.move(member, Status.DELETING_INSTANCE)
    return True


def _update(plan: Plan, member: Member) -> bool:
    """Update a running machine live, or a stopped one, which then starts."""
    compute = member.observed.compute
    if compute is Compute.UPDATING:
        return False
    if member.goal is Goal.STAY and compute not in HALTED:
        return compute is Compute.RUNNING and _update_live(plan, member)
    if member.goal is Goal.RESTART and compute in (Compute.STOPPED, Compute.CRASHED):
        return _update_stopped(plan, member)
    if compute not in HALTED and not plan.may_stop():
        return False
    plan.move(member, Status.STOPPED if compute in HALTED else Status.STOPPING_INSTANCE)
    return True


def _update_live(plan: Plan, member: Member) -> bool:
    if plan.effect(member) is Effect.LIVE:
        plan.do(UpdateInstance(member.id, Effect.LIVE))
        member = replace(member, template=plan.group.template)
    plan.move(member, running_status(plan, member))
    return True


def _update_stopped(plan: Plan, member: Member) -> bool:
    effect = plan.effect(member)
    if effect is Effect.RECREATE:
        plan.move(member, Status.STOPPED)
    elif effect is not Effect.NONE:
        plan.order(member, UpdateInstance(member.id, Effect.RESTART), Compute.UPDATING)
        plan.save(replace(plan.members[member.id], template=plan.group.template))
    elif plan.may_create():
        plan.move(replace(member, goal=Goal.STAY), Status.STARTING_INSTANCE)
    else:
        return False
    return True


def _delete(plan: Plan, member: Member) -> bool:
    if member.observed.compute is Compute.DELETING:
        return False
    if member.observed.compute is not Compute.ABSENT:
        plan.order(member, DeleteInstance(member.id), Compute.DELETING)
    elif member.goal is Goal.REMOVE:
        plan.move(member, Status.DELETED)
    else:
        plan.move(replace(member, goal=Goal.STAY), Status.PREPARING_RESOURCES)
    return True


def _forget(plan: Plan, member: Member) -> bool:
    plan.delete(member)
    return True


STEPS_DOWN: Mapping[Status, Callable[[Plan, Member], bool]] = {
    Status.CLOSING_TRAFFIC: _close,
    Status.STOPPING_INSTANCE: _stop,
    Status.STOPPED: _stopped,
    Status.UPDATING_INSTANCE: _update,
    Status.DELETING_INSTANCE: _delete,
    Status.DELETED: _forget,
}
"""The step that a member in each status may take; it returns whether it took one."""

_STEPS = {**STEPS_UP, **STEPS_DOWN}


def advance(plan: Plan, member_id: str) -> None:
    """Take every step that is due. The effect of an action counts as observed, so the chain ends by itself."""
    while (member := plan.members.get(member_id)) and _STEPS[member.status](plan, member):
        pass


def begin_teardown(plan: Plan, member: Member, goal: Goal, why: str) -> None:
    """Begin to tear a member down, with a `goal` for afterwards; a running one waits for `max_deleting`."""
    halted = member.observed.compute in HALTED
    if member.status not in TEARDOWN and not halted and not plan.may_stop():
        return
    plan.do(Log(member.id, f"{goal.value}: {why}"))
    attempts = 0 if _has_served(plan, member, halted=halted) else member.attempts
    member = replace(member, goal=goal, requested=Goal.STAY, attempts=attempts)
    if member.status in TEARDOWN:
        plan.save(member)
    elif member.observed.registered:
        plan.move(member, Status.CLOSING_TRAFFIC)
    else:
        plan.move(member, Status.STOPPED if halted else Status.STOPPING_INSTANCE)
    advance(plan, member.id)


def _has_served(plan: Plan, member: Member, *, halted: bool) -> bool:
    """Return whether a machine ran, and did not die so soon that it counts as one more failed start."""
    return member.status in RUNNING and not (halted and plan.now - member.since < SERVED)
