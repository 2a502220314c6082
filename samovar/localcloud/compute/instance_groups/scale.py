"""Fixed scale: as many machines as wanted, and for a while as many more as `max_expansion` allows."""

from __future__ import annotations

from samovar.localcloud.compute.instance_groups.lifecycle import turn
from samovar.localcloud.compute.instance_groups.placement import Placement
from samovar.localcloud.compute.instance_groups.plan import Plan
from samovar.localcloud.compute.instance_groups.rolling_update import renewals
from samovar.localcloud.compute.instance_groups.scale_in import Surplus
from samovar.localcloud.compute.instance_groups.state import Goal, Log


def grow(plan: Plan, blocked: int) -> None:
    """Creates what is missing, and an extra machine for each that waits to be spared."""
    deploy = plan.group.deploy
    target = plan.group.size + min(deploy.max_expansion, blocked)
    room = plan.group.size + deploy.max_expansion - plan.existing
    missing = min(target - plan.staying, room)
    if missing <= 0:
        return
    placement = Placement(plan, going=(renewal.member.id for renewal in renewals(plan)))
    for _ in range(missing):
        member = placement.take() if plan.may_create() else None
        if member is None:
            break
        plan.create(member)
    if plan.created:
        plan.do(Log("", f"create {len(plan.created)}: {plan.staying} of {target} machines"))


def shrink(plan: Plan) -> None:
    """Sends away what is over the size, but for the extra machines that renewals still need."""
    if plan.excess <= 0:
        return
    keep = min(plan.group.deploy.max_expansion, len(renewals(plan)))
    surplus = Surplus(plan)
    while plan.excess > keep and plan.may_stop() and (member := surplus.pop()):
        turn(plan, member, Goal.LEAVE, f"{plan.staying} machines, {plan.group.size} wanted")
