"""The steps of starting up: an instance is made or started, waits for its checks and its traffic, and serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from samovar.localcloud.compute.instance_groups.actions import Action, AddTarget, CreateInstance, StartInstance
from samovar.localcloud.compute.instance_groups.plan import Plan
from samovar.localcloud.compute.instance_groups.state import RUNNING, STARTUP_PHASES, Compute, Effect, Member, Status

_LONGEST_PAUSE = 30.0


def _prepare(plan: Plan, member: Member) -> bool:
    if not plan.may_create():
        return False
    plan.move(member, Status.CREATING_INSTANCE)
    return True


def _create(plan: Plan, member: Member) -> bool:
    if member.observed.compute is Compute.ABSENT:
        updated = replace(member, template=plan.group.template)
        return _attempt(plan, updated, CreateInstance(member.id), Compute.PROVISIONING)
    return _advance_startup(plan, member)


def _start(plan: Plan, member: Member) -> bool:
    if member.observed.compute in (Compute.STOPPED, Compute.CRASHED):
        return _attempt(plan, member, StartInstance(member.id), Compute.STARTING)
    return _advance_startup(plan, member)


def _attempt(plan: Plan, member: Member, action: Action, expected: Compute) -> bool:
    """Make the first two attempts at once; after that each waits twice as long as the one before."""
    pause = min(2.0 ** (member.attempts - 2), _LONGEST_PAUSE) if member.attempts > 1 else 0
    if plan.now - member.since < pause:
        return False
    member = plan.save(replace(member, attempts=member.attempts + 1, since=plan.now))
    plan.order(member, action, expected)
    return True


def _advance_startup(plan: Plan, member: Member) -> bool:
    """Leave a phase that has got what it waits for; a phase with nothing to wait for is left out."""
    if member.observed.compute is not Compute.RUNNING or not _passed(plan, member):
        return False
    group = plan.group
    applies = (group.deploy.startup_duration > 0, group.has_checks, group.has_target_group)
    done = STARTUP_PHASES.index(member.status) + 1 if member.status in STARTUP_PHASES else 0
    for phase, needed in list(zip(STARTUP_PHASES, applies, strict=True))[done:]:
        if needed:
            plan.move(member, phase)
            return True
    plan.move(member, running_status(plan, member))
    return True


def _passed(plan: Plan, member: Member) -> bool:
    match member.status:
        case Status.AWAITING_STARTUP_DURATION:
            return plan.now - member.since >= plan.group.deploy.startup_duration
        case Status.CHECKING_HEALTH:
            return member.observed.healthy is True or not plan.group.has_checks
        case Status.OPENING_TRAFFIC:
            return member.observed.target_healthy is True or not plan.group.opens_traffic
        case _:
            return True


def _open(plan: Plan, member: Member) -> bool:
    return _register(plan, member) or _advance_startup(plan, member)


def _register(plan: Plan, member: Member) -> bool:
    if member.observed.registered or not plan.group.has_target_group or member.observed.compute is not Compute.RUNNING:
        return False
    plan.do(AddTarget(member.id))
    plan.count_as(replace(member, observed=replace(member.observed, registered=True, target_healthy=None)))
    return True


def running_status(plan: Plan, member: Member) -> Status:
    """Return the status of a machine that runs, by the current template."""
    return Status.RUNNING_ACTUAL if plan.effect(member) is Effect.NONE else Status.RUNNING_OUTDATED


def _serve(plan: Plan, member: Member) -> bool:
    if member.observed.compute is not Compute.RUNNING:
        return False
    if _register(plan, member):
        return True
    if member.status is not running_status(plan, member):
        plan.move(member, running_status(plan, member))
        return True
    if plan.effect(member) is Effect.LIVE:
        plan.move(replace(member, template=replace(member.template, live=None)), Status.UPDATING_INSTANCE)
        return True
    return False


STEPS_UP: Mapping[Status, Callable[[Plan, Member], bool]] = {
    Status.PREPARING_RESOURCES: _prepare,
    Status.CREATING_INSTANCE: _create,
    Status.STARTING_INSTANCE: _start,
    **dict.fromkeys(STARTUP_PHASES, _advance_startup),
    Status.OPENING_TRAFFIC: _open,
    **dict.fromkeys(RUNNING, _serve),
}
"""The step that a member in each status may take; it returns whether it took one."""
