"""One member's way through its statuses: a step for each, taken for as long as what is seen allows the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from localcloud.instancegroups.effects import goal_of
from localcloud.instancegroups.model import (
    Action,
    AddTarget,
    Compute,
    CreateInstance,
    DeleteInstance,
    Effect,
    Goal,
    Log,
    Member,
    RemoveTarget,
    StartInstance,
    StopInstance,
    UpdateInstance,
)
from localcloud.instancegroups.plan import HALTED, Plan
from localcloud.instancegroups.statuses import FALLING, RISING, RUNNING, Status

_LONGEST_PAUSE = 30.0


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


def _prepare(plan: Plan, member: Member) -> bool:
    if not plan.may_create():
        return False
    plan.move(member, Status.CREATING_INSTANCE)
    return True


def _create(plan: Plan, member: Member) -> bool:
    if member.seen.compute is Compute.ABSENT:
        made = replace(member, facets=plan.group.facets)
        return _attempt(plan, made, CreateInstance(member.id), Compute.PROVISIONING)
    return _rise(plan, member)


def _start(plan: Plan, member: Member) -> bool:
    if member.seen.compute in (Compute.STOPPED, Compute.CRASHED):
        return _attempt(plan, member, StartInstance(member.id), Compute.STARTING)
    return _rise(plan, member)


def _attempt(plan: Plan, member: Member, action: Action, expected: Compute) -> bool:
    """The first two are made at once, then each waits twice as long as the one before."""
    pause = min(2.0 ** (member.attempts - 2), _LONGEST_PAUSE) if member.attempts > 1 else 0
    if plan.now - member.since < pause:
        return False
    member = plan.save(replace(member, attempts=member.attempts + 1, since=plan.now))
    _order(plan, member, action, expected)
    return True


def _order(plan: Plan, member: Member, action: Action, expected: Compute) -> None:
    plan.do(action)
    plan.see(replace(member, seen=replace(member.seen, compute=expected)))


def _rise(plan: Plan, member: Member) -> bool:
    """Leaves a phase that has got what it waits for; a phase with nothing to wait for is left out."""
    if member.seen.compute is not Compute.RUNNING or not _passed(plan, member):
        return False
    group = plan.group
    applies = (group.deploy.startup_duration > 0, group.has_checks, group.has_target_group)
    done = RISING.index(member.status) + 1 if member.status in RISING else 0
    for phase, wanted in list(zip(RISING, applies, strict=True))[done:]:
        if wanted:
            plan.move(member, phase)
            return True
    plan.move(member, _running_status(plan, member), attempts=0)
    return True


def _passed(plan: Plan, member: Member) -> bool:
    match member.status:
        case Status.AWAITING_STARTUP_DURATION:
            return plan.now - member.since >= plan.group.deploy.startup_duration
        case Status.CHECKING_HEALTH:
            return member.seen.healthy is True or not plan.group.has_checks
        case Status.OPENING_TRAFFIC:
            return member.seen.target_healthy is True or not plan.group.opens_traffic
        case _:
            return True


def _open(plan: Plan, member: Member) -> bool:
    return _register(plan, member) or _rise(plan, member)


def _register(plan: Plan, member: Member) -> bool:
    if member.seen.registered or not plan.group.has_target_group or member.seen.compute is not Compute.RUNNING:
        return False
    plan.do(AddTarget(member.id))
    plan.see(replace(member, seen=replace(member.seen, registered=True, target_healthy=None)))
    return True


def _running_status(plan: Plan, member: Member) -> Status:
    return Status.RUNNING_ACTUAL if plan.effect(member) is Effect.NONE else Status.RUNNING_OUTDATED


def _serve(plan: Plan, member: Member) -> bool:
    if _register(plan, member):
        return True
    if member.status is not _running_status(plan, member):
        plan.move(member, _running_status(plan, member))
        return True
    if plan.effect(member) is Effect.LIVE and member.seen.compute is Compute.RUNNING:
        plan.move(member, Status.UPDATING_INSTANCE, facets=replace(member.facets, live=None))
        return True
    return False


def _close(plan: Plan, member: Member) -> bool:
    if member.seen.registered:
        plan.do(RemoveTarget(member.id))
        plan.see(replace(member, seen=replace(member.seen, registered=False)))
        return True
    halted = member.seen.compute in HALTED
    if not halted and plan.now - member.since < plan.group.drain:
        return False
    plan.move(member, Status.STOPPED if halted else Status.STOPPING_INSTANCE)
    return True


def _stop(plan: Plan, member: Member) -> bool:
    if member.seen.compute in HALTED:
        plan.move(member, Status.STOPPED)
        return True
    if member.seen.compute in (Compute.STOPPING, Compute.UPDATING, Compute.DELETING):
        return False
    _order(plan, member, StopInstance(member.id), Compute.STOPPING)
    return True


def _stopped(plan: Plan, member: Member) -> bool:
    match member.goal:
        case Goal.RESTART:
            return _restart(plan, member)
        case Goal.RECREATE | Goal.LEAVE:
            return _begin_delete(plan, member)
        case Goal.STAY if member.seen.compute is Compute.RUNNING:
            plan.move(member, Status.STARTING_INSTANCE)
            return True
        case _:
            return False


def _restart(plan: Plan, member: Member) -> bool:
    effect = plan.effect(member)
    lost = member.seen.compute in (Compute.ABSENT, Compute.ERROR)
    if lost or goal_of(effect) is Goal.RECREATE:
        plan.save(replace(member, goal=Goal.RECREATE))
    elif effect is not Effect.NONE:
        plan.move(member, Status.UPDATING_INSTANCE, facets=replace(member.facets, live=None, restart=None))
    elif plan.may_create():
        plan.move(member, Status.STARTING_INSTANCE, goal=Goal.STAY)
    else:
        return False
    return True


def _begin_delete(plan: Plan, member: Member) -> bool:
    if not plan.may_stop():
        return False
    plan.move(member, Status.DELETING_INSTANCE)
    return True


def _update(plan: Plan, member: Member) -> bool:
    """Live on a running machine, otherwise on a stopped one, which then starts."""
    if member.seen.compute is Compute.UPDATING:
        return False
    if member.goal is Goal.STAY and member.seen.compute is Compute.RUNNING:
        return _update_live(plan, member)
    if member.goal is Goal.RESTART and member.seen.compute in (Compute.STOPPED, Compute.CRASHED):
        return _update_stopped(plan, member)
    plan.move(member, Status.STOPPED if member.seen.compute in HALTED else Status.STOPPING_INSTANCE)
    return True


def _update_live(plan: Plan, member: Member) -> bool:
    if plan.effect(member) is Effect.LIVE:
        plan.do(UpdateInstance(member.id, Effect.LIVE))
        member = replace(member, facets=plan.group.facets)
    plan.move(member, _running_status(plan, member))
    return True


def _update_stopped(plan: Plan, member: Member) -> bool:
    effect = plan.effect(member)
    if effect is Effect.RECREATE:
        plan.move(member, Status.STOPPED)
    elif effect is not Effect.NONE:
        _order(plan, member, UpdateInstance(member.id, Effect.RESTART), Compute.UPDATING)
        plan.save(replace(plan.members[member.id], facets=plan.group.facets))
    elif plan.may_create():
        plan.move(member, Status.STARTING_INSTANCE, goal=Goal.STAY)
    else:
        return False
    return True


def _delete(plan: Plan, member: Member) -> bool:
    if member.seen.compute is Compute.DELETING:
        return False
    if member.seen.compute is not Compute.ABSENT:
        _order(plan, member, DeleteInstance(member.id), Compute.DELETING)
    elif member.goal is Goal.LEAVE:
        plan.move(member, Status.DELETED)
    else:
        plan.move(member, Status.PREPARING_RESOURCES, goal=Goal.STAY)
    return True


def _forget(plan: Plan, member: Member) -> bool:
    plan.delete(member)
    return True


_STEPS: dict[Status, Callable[[Plan, Member], bool]] = {
    Status.PREPARING_RESOURCES: _prepare,
    Status.CREATING_INSTANCE: _create,
    Status.STARTING_INSTANCE: _start,
    **dict.fromkeys(RISING, _rise),
    Status.OPENING_TRAFFIC: _open,
    **dict.fromkeys(RUNNING, _serve),
    Status.CLOSING_TRAFFIC: _close,
    Status.STOPPING_INSTANCE: _stop,
    Status.STOPPED: _stopped,
    Status.UPDATING_INSTANCE: _update,
    Status.DELETING_INSTANCE: _delete,
    Status.DELETED: _forget,
}
