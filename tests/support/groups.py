"""A settled group on a simulated clock, and what is read off its decisions."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from samovar.localcloud.compute.instance_groups.actions import Action, CreateMember, SaveMember, StopInstance
from samovar.localcloud.compute.instance_groups.state import DeployPolicy, Group, Status, TemplateHash, Zone
from tests.support.group_simulation import Pace, Simulation

QUICK = Pace(boot=0, stop=0, health=0, traffic=0)
ONE_ZONE = (Zone("a"),)


def settled(size: int, deploy: DeployPolicy | None = None, pace: Pace = QUICK, **policies: Any) -> Simulation:
    group = Group(size, policies.pop("zones", ONE_ZONE), TemplateHash(), deploy or DeployPolicy(), **policies)
    world = Simulation(group, pace)
    assert world.settle()
    return world


def change(world: Simulation, **changes: Any) -> None:
    assert world.group
    world.group = replace(world.group, **changes)


def live(world: Simulation, steps: int = 60) -> list[Action]:
    return [action for _ in range(steps) for action in world.step(0.5)]


def statuses(world: Simulation) -> dict[str, Status]:
    return {member.id: member.status for member in world.members()}


def path(actions: list[Action], member_id: str) -> list[str]:
    """Return the statuses that a member goes through, each once."""
    saved = [a.member.status.name for a in actions if isinstance(a, SaveMember) and a.member.id == member_id]
    return [name for name, following in pairwise([*saved, ""]) if name != following]


def taken(actions: list[Action]) -> list[str]:
    return [action.id for action in actions if isinstance(action, StopInstance)]


def created_machines(actions: list[Action]) -> int:
    return sum(isinstance(action, CreateMember) for action in actions)


def indices(world: Simulation) -> list[int]:
    return sorted(member.index for member in world.members())
