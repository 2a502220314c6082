"""Decides what an instance group does next. It is level-triggered: called again and again, it recovers any lost action.

All that it has to remember stands in the values that it is given, and it decides from what is observed now.
An action that has an effect stands before the record that takes the effect for done, so any prefix may be carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from samovar.localcloud.compute.instance_groups.actions import Action, DeleteGroup, SetGroupState
from samovar.localcloud.compute.instance_groups.healing import heal
from samovar.localcloud.compute.instance_groups.plan import Plan
from samovar.localcloud.compute.instance_groups.rolling_update import grow, renew, shrink
from samovar.localcloud.compute.instance_groups.state import Goal, Group, GroupState, Member, Status
from samovar.localcloud.compute.instance_groups.teardown import advance, begin_teardown

CLOCK_SKEW = 1.0
"""Seconds that a clock may be set back without notice."""


def decide(group: Group, members: Sequence[Member], now: float) -> tuple[Action, ...]:
    """Return what to do now, in order; nothing for a group that is settled, paused or stopped. `now` is in seconds."""
    plan = Plan(group, members, now)
    _correct_dates(plan)
    match group.state:
        case GroupState.STARTING | GroupState.ACTIVE:
            _keep(plan)
        case GroupState.STOPPING:
            _send_all(plan, Goal.STOP, "the group stops")
        case GroupState.DELETING:
            _send_all(plan, Goal.REMOVE, "the group is deleted")
        case GroupState.PAUSED | GroupState.STOPPED:
            return ()
    _close_state(plan)
    return tuple(plan.actions)


def _correct_dates(plan: Plan) -> None:
    """Date records anew that are ahead of the clock, which was set back since: what is timed by them begins again."""
    for member in list(plan.members.values()):
        if member.since > plan.now + CLOCK_SKEW:
            plan.save(replace(member, since=plan.now))


def _keep(plan: Plan) -> None:
    _advance_all(plan)
    for member in list(plan.members.values()):
        if member.goal is Goal.STOP:
            begin_teardown(plan, member, Goal.RESTART, "the group starts")
        elif member.requested is Goal.REMOVE and member.goal is not Goal.REMOVE:
            begin_teardown(plan, member, Goal.REMOVE, "its owner asked for it")
    heal(plan)
    shrink(plan)
    grow(plan, renew(plan))


def _advance_all(plan: Plan) -> None:
    for member_id in list(plan.members):
        advance(plan, member_id)


def _send_all(plan: Plan, goal: Goal, why: str) -> None:
    """Tear all members down. This comes first, so that no machine is made only to be stopped."""
    for member in list(plan.members.values()):
        if member.goal not in (goal, Goal.REMOVE):
            begin_teardown(plan, member, goal, why)
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
