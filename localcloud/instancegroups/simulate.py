"""A simulated Compute and clock under the controller: for its tests, and for the time that a decision takes.

`python -m localcloud.instancegroups.simulate --machines 10,100,1000` prints the table of `make bench`.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from localcloud.instancegroups.decide import decide
from localcloud.instancegroups.model import (
    Action,
    AddTarget,
    Compute,
    CreateInstance,
    CreateMember,
    DeleteGroup,
    DeleteInstance,
    DeleteMember,
    DeployPolicy,
    Effect,
    Facets,
    Group,
    GroupState,
    Healing,
    Log,
    Member,
    RemoveTarget,
    SaveMember,
    Seen,
    SetGroupState,
    StartInstance,
    StopInstance,
    UpdateInstance,
    Zone,
)

_SETTLES = {
    Compute.PROVISIONING: Compute.RUNNING,
    Compute.STARTING: Compute.RUNNING,
    Compute.RESTARTING: Compute.RUNNING,
    Compute.STOPPING: Compute.STOPPED,
    Compute.UPDATING: Compute.STOPPED,
    Compute.DELETING: Compute.ABSENT,
}


@dataclass
class Machine:
    """An instance as Compute, the group's checks and the balancer know it. `sick`: it fails every check."""

    compute: Compute = Compute.ABSENT
    since: float = 0
    settles_at: float = 0
    registered_at: float | None = None
    sick: bool = False
    template: Facets = field(default_factory=Facets)


@dataclass(frozen=True)
class Pace:
    """How long things take, in seconds; boot, stop and the like are drawn between 0 and twice the value."""

    boot: float = 2
    stop: float = 1
    health: float = 1
    traffic: float = 1


class Simulation:
    """A group and its machines in simulated time. Whoever tests it breaks machines, or loses actions, between steps."""

    def __init__(self, group: Group, pace: Pace | None = None, seed: int = 0) -> None:
        self.group: Group | None = group
        self.now = 0.0
        self.records: dict[str, Member] = {}
        self.machines: dict[str, Machine] = {}
        self._pace = pace or Pace()
        self._random = random.Random(seed)  # noqa: S311 - a repeatable sequence, not a secret
        self._born = 0

    def members(self) -> tuple[Member, ...]:
        return tuple(replace(record, seen=self._seen(record.id)) for record in self.records.values())

    def decide(self) -> tuple[Action, ...]:
        return decide(self.group, self.members(), self.now) if self.group else ()

    def step(self, seconds: float) -> tuple[Action, ...]:
        """Decides, carries everything out, and lets time pass."""
        actions = self.decide()
        self.carry_out(actions)
        self.wait(seconds)
        return actions

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for machine in self.machines.values():
            if machine.compute in _SETTLES and machine.settles_at <= self.now:
                machine.compute = _SETTLES[machine.compute]
                machine.since = self.now

    def carry_out(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self._carry_out(action)

    def settle(self, seconds: float = 0.5, steps: int = 2000) -> bool:
        """Steps until nothing is left to do and nothing is on its way."""
        for _ in range(steps):
            if not self.step(seconds) and not any(m.compute in _SETTLES for m in self.machines.values()):
                if not self.decide():
                    return True
        return False

    def _carry_out(self, action: Action) -> None:  # noqa: C901 - one case an action
        match action:
            case CreateMember(member):
                self._born += 1
                self._store(replace(member, id=f"m{self._born}"))
            case SaveMember(member):
                self._store(member)
            case DeleteMember(member_id):
                del self.records[member_id], self.machines[member_id]
            case CreateInstance(member_id):
                self.machines[member_id] = Machine(template=self._template())
                self._begin(member_id, Compute.PROVISIONING, self._pace.boot)
            case StartInstance(member_id):
                self._begin(member_id, Compute.STARTING, self._pace.boot)
            case StopInstance(member_id):
                self._begin(member_id, Compute.STOPPING, self._pace.stop)
            case DeleteInstance(member_id):
                self._begin(member_id, Compute.DELETING, self._pace.stop)
            case UpdateInstance(member_id, effect):
                self.machines[member_id].template = self._template()
                if effect is Effect.RESTART:
                    self._begin(member_id, Compute.UPDATING, self._pace.stop)
            case AddTarget(member_id):
                self.machines[member_id].registered_at = self.now
            case RemoveTarget(member_id):
                self.machines[member_id].registered_at = None
            case SetGroupState(state):
                self.group = replace(self.group, state=state) if self.group else None
            case DeleteGroup():
                self.group = None
            case Log():
                pass

    def _template(self) -> Facets:
        return self.group.facets if self.group else Facets()

    def _store(self, member: Member) -> None:
        self.records[member.id] = replace(member, seen=Seen())
        self.machines.setdefault(member.id, Machine())

    def _begin(self, member_id: str, compute: Compute, seconds: float) -> None:
        machine = self.machines[member_id]
        machine.compute, machine.since = compute, self.now
        machine.settles_at = self.now + self._random.uniform(0, 2 * seconds)

    def _seen(self, member_id: str) -> Seen:
        machine = self.machines[member_id]
        up = self.now - machine.since if machine.compute is Compute.RUNNING else 0.0
        healthy = None if up < self._pace.health else not machine.sick
        registered = machine.registered_at
        if not self.group or not self.group.has_checks:
            healthy = None
        if registered is None:
            return Seen(machine.compute, healthy)
        target_healthy = min(up, self.now - registered) >= self._pace.traffic and not machine.sick
        return Seen(machine.compute, healthy, target_healthy, registered=True)
