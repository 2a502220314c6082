"""A simulated Compute and clock under the controller: for its tests, and for the time that a decision takes.

`python -m tests.support.group_simulation --machines 10,100,1000` prints the table of `make bench`.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from statistics import mean

from samovar.core.output import Format, show, table
from samovar.localcloud.compute.instance_groups.actions import (
    Action,
    AddTarget,
    CreateInstance,
    CreateMember,
    DeleteGroup,
    DeleteInstance,
    DeleteMember,
    Log,
    RemoveTarget,
    SaveMember,
    SetGroupState,
    StartInstance,
    StopInstance,
    UpdateInstance,
)
from samovar.localcloud.compute.instance_groups.decide import decide
from samovar.localcloud.compute.instance_groups.state import (
    Compute,
    DeployPolicy,
    Effect,
    Group,
    GroupState,
    Member,
    Observed,
    Status,
    TemplateHash,
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

Call = AddTarget | RemoveTarget | CreateInstance | StartInstance | StopInstance | DeleteInstance | UpdateInstance
_ACCEPTED_IN: dict[type[Call], Collection[Compute]] = {
    AddTarget: {Compute.RUNNING},
    RemoveTarget: set(Compute),
    CreateInstance: {Compute.ABSENT},
    StartInstance: {Compute.STOPPED, Compute.CRASHED},
    StopInstance: {Compute.PROVISIONING, Compute.STARTING, Compute.RUNNING, Compute.RESTARTING},
    DeleteInstance: {Compute.STOPPED, Compute.CRASHED, Compute.ERROR},
    UpdateInstance: {Compute.STOPPED, Compute.CRASHED, Compute.RUNNING},
}


@dataclass
class Machine:
    """An instance as Compute, the group's checks and the balancer know it. `sick`: it fails every check."""

    compute: Compute = Compute.ABSENT
    since: float = 0
    settles_at: float = 0
    registered_at: float | None = None
    sick: bool = False
    template: TemplateHash = field(default_factory=TemplateHash)


@dataclass(frozen=True)
class Pace:
    """The seconds that things take; boot, stop and the like are drawn between 0 and twice the value."""

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
        return tuple(replace(record, observed=self._observed(record.id)) for record in self.records.values())

    def decide(self) -> tuple[Action, ...]:
        return decide(self.group, self.members(), self.now) if self.group else ()

    def step(self, seconds: float) -> tuple[Action, ...]:
        """Decide, carry everything out, and let time pass."""
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

    def run(self, seconds: float, step: float = 0.5) -> None:
        for _ in range(round(seconds / step)):
            self.step(step)

    def settle(self, seconds: float = 600, step: float = 0.5) -> bool:
        """Run until the group is whole and nothing is left to do, for so many seconds at most."""
        for _ in range(round(seconds / step)):
            if self.is_settled() and not self.decide():
                return True
            self.step(step)
        return False

    def is_settled(self) -> bool:
        """Return whether exactly the desired machines run, all by the current template."""
        group, members = self.group, self.members()
        return group is not None and len(members) == group.size and all(self._is_actual(m) for m in members)

    def _is_actual(self, member: Member) -> bool:
        machine = self.machines[member.id]
        runs = member.status is Status.RUNNING_ACTUAL and machine.compute is Compute.RUNNING
        return runs and member.observed.healthy is not False and machine.template == self._template()

    def _carry_out(self, action: Action) -> None:
        match action:
            case CreateMember(member):
                self._born += 1
                self._store(replace(member, id=f"m{self._born}"))
            case SaveMember(member):
                self._store(member)
            case DeleteMember(member_id):
                del self.records[member_id], self.machines[member_id]
            case SetGroupState(state):
                self.group = replace(self.group, state=state) if self.group else None
            case DeleteGroup():
                self.group = None
            case Log():
                pass
            case _:
                self._call(self.machines[action.id], action)

    def _call(self, machine: Machine, action: Call) -> None:
        """Compute and the balancer refuse a call that does not fit the state of the machine."""
        if machine.compute not in _ACCEPTED_IN[type(action)]:
            raise ValueError(f"{action} of a machine that is {machine.compute.name}")
        match action:
            case AddTarget():
                machine.registered_at = self.now
            case RemoveTarget():
                machine.registered_at = None
            case CreateInstance():
                machine.template, machine.sick = self._template(), False
                self._begin(machine, Compute.PROVISIONING, self._pace.boot)
            case StartInstance():
                machine.sick = False
                self._begin(machine, Compute.STARTING, self._pace.boot)
            case StopInstance():
                self._begin(machine, Compute.STOPPING, self._pace.stop)
            case DeleteInstance():
                self._begin(machine, Compute.DELETING, self._pace.stop)
            case UpdateInstance(effect=Effect.LIVE):
                machine.template = replace(machine.template, live=self._template().live)
            case UpdateInstance():
                machine.template = replace(self._template(), recreate=machine.template.recreate)
                self._begin(machine, Compute.UPDATING, self._pace.stop)

    def _template(self) -> TemplateHash:
        return self.group.template if self.group else TemplateHash()

    def _store(self, member: Member) -> None:
        self.records[member.id] = replace(member, observed=Observed())
        self.machines.setdefault(member.id, Machine())

    def _begin(self, machine: Machine, compute: Compute, seconds: float) -> None:
        machine.compute, machine.since = compute, self.now
        machine.settles_at = self.now + self._random.uniform(0, 2 * seconds)

    def _observed(self, member_id: str) -> Observed:
        machine = self.machines[member_id]
        up = self.now - machine.since if machine.compute is Compute.RUNNING else 0.0
        healthy = None if up < self._pace.health else not machine.sick
        registered = machine.registered_at
        if not self.group or not self.group.has_checks:
            healthy = None
        if registered is None:
            return Observed(machine.compute, healthy)
        target_healthy = min(up, self.now - registered) >= self._pace.traffic and not machine.sick
        return Observed(machine.compute, healthy, target_healthy, registered=True)


def _measure(size: int) -> list[float]:
    """Milliseconds a decision: of a settled group, and in a rolling update of all its machines, 10 % at a time."""
    tenth = max(1, size // 10)
    group = Group(size, (Zone("a"), Zone("b"), Zone("d")), TemplateHash(), DeployPolicy(tenth, tenth), has_checks=True)
    world = Simulation(group)
    world.settle()
    settled = [_timed_step(world) for _ in range(20)]
    world.group = replace(group, template=TemplateHash(restart="new"), state=GroupState.ACTIVE)
    rolling = [_timed_step(world)]
    while not world.is_settled():
        rolling.append(_timed_step(world))
    return [size, *(round(1000 * t, 2) for t in (mean(settled), mean(rolling), max(rolling), mean(rolling) / size))]


def _timed_step(world: Simulation) -> float:
    begin = time.perf_counter()
    actions = world.decide()
    took = time.perf_counter() - begin
    world.carry_out(actions)
    world.wait(0.5)
    return took


def main() -> None:
    """Print the table, or write it as JSON or YAML."""
    parser = argparse.ArgumentParser(description="How long the instance-group controller takes for a decision.")
    parser.add_argument("--machines", default="10,100,1000", help="sizes of the group")
    parser.add_argument("-o", "--output", type=Format, default=Format.TABLE, help="table, json or yaml")
    arguments = parser.parse_args()
    columns = ["machines", "settled_ms", "rolling_ms", "worst_ms", "rolling_ms_per_machine"]
    rows = [_measure(int(size)) for size in arguments.machines.split(",")]
    sizes = [dict(zip(columns, row, strict=True)) for row in rows]
    show({"sizes": sizes}, arguments.output, [table(columns, [[f"{cell:g}" for cell in row] for row in rows])])


if __name__ == "__main__":
    main()
