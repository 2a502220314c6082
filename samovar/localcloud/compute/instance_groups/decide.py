"""The instance-group controller's decision. Level-triggered: called again and again, and whole after any lost action.

Whatever it has to remember stands in the values it is given; whatever it decides, it decides from what is seen now.
An action that has an effect stands before the record that takes the effect for done, so any prefix may be carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from samovar.localcloud.compute.instance_groups.heal import heal
from samovar.localcloud.compute.instance_groups.lifecycle import advance, turn
from samovar.localcloud.compute.instance_groups.plan import Plan
from samovar.localcloud.compute.instance_groups.rolling_update import renew
from samovar.localcloud.compute.instance_groups.scale import grow, shrink
from samovar.localcloud.compute.instance_groups.state import (
    Action,
    DeleteGroup,
    Goal,
    Group,
    GroupState,
    Member,
    SetGroupState,
)
from samovar.localcloud.compute.instance_groups.statuses import Status

CLOCK_SKEW = 1.0
"""Seconds that a clock may be set back without notice."""


def decide(group: Group, members: Sequence[Member], now: float) -> tuple[Action, ...]:
    """What to do now, in order; nothing for a group that is settled, paused or stopped. `now` is in seconds."""
    plan = Plan(group, members, now)
    _forget_the_future(plan)
    match group.state:
        case GroupState.STARTING | GroupState.ACTIVE:
            _keep(plan)
        case GroupState.STOPPING:
            _send_all(plan, Goal.STOP, "the group stops")
        case GroupState.DELETING:
            _send_all(plan, Goal.LEAVE, "the group is deleted")
        case GroupState.PAUSED | GroupState.STOPPED:
            return ()
    _close_state(plan)
    return tuple(plan.actions)


def _forget_the_future(plan: Plan) -> None:
    """A record is dated ahead where the clock was set back since: what is timed by it begins anew, and goes on."""
    for member in list(plan.members.values()):
        if member.since > plan.now + CLOCK_SKEW:
            plan.save(replace(member, since=plan.now))


def _keep(plan: Plan) -> None:
    _advance_all(plan)
    for member in list(plan.members.values()):
        if member.goal is Goal.STOP:
            turn(plan, member, Goal.RESTART, "the group starts")
        elif member.requested is Goal.LEAVE and member.goal is not Goal.LEAVE:
            turn(plan, member, Goal.LEAVE, "its owner asked for it")
    heal(plan)
    shrink(plan)
    grow(plan, renew(plan))


def _advance_all(plan: Plan) -> None:
    for member_id in list(plan.members):
        advance(plan, member_id)


def _send_all(plan: Plan, goal: Goal, why: str) -> None:
    """Before anything else, lest a machine be made only to be stopped."""
    for member in list(plan.members.values()):
        if member.goal not in (goal, Goal.LEAVE):
            turn(plan, member, goal, why)
    _advance_all(plan)


def _close_state(plan: Plan) -> None:
    members = plan.members.values()
    match plan.group.state:
        case GroupState.STARTING if plan.running >= plan.group.size:
            plan.do(SetGroupState(GroupState.ACTIVE))
        case GroupState.STOPPING if all(member.status is Status.STOPPED for member in members):
            plan.do(SetGroupState(GroupState.STOPPED))
        case GroupState.DELETING if not members:
            plan.do(DeleteGroup())
        case _:
            pass
