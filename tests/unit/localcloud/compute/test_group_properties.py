"""A group keeps its promises and reaches its target, whatever happens to its machines, its settings and the daemon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samovar.localcloud.compute.instance_groups.actions import Action, CreateMember, DeleteMember, SaveMember
from samovar.localcloud.compute.instance_groups.state import (
    RUNNING,
    STARTUP_PHASES,
    Compute,
    DeployPolicy,
    Effect,
    Goal,
    Group,
    GroupState,
    Healing,
    Member,
    Status,
    TemplateHash,
    Zone,
)
from tests.support.group_simulation import Machine, Pace, Simulation

ALIVE = {Compute.PROVISIONING, Compute.STARTING, Compute.RUNNING, Compute.RESTARTING, Compute.STOPPING}
DOWN = frozenset({Status.CLOSING_TRAFFIC, Status.STOPPING_INSTANCE, Status.STOPPED})
STARTUP = frozenset(STARTUP_PHASES)
EDGES: dict[Status, frozenset[Status]] = {
    Status.PREPARING_RESOURCES: frozenset({Status.CREATING_INSTANCE}) | DOWN,
    Status.CREATING_INSTANCE: STARTUP | RUNNING | DOWN,
    Status.STARTING_INSTANCE: STARTUP | RUNNING | DOWN,
    Status.AWAITING_STARTUP_DURATION: frozenset(STARTUP_PHASES[1:]) | RUNNING | DOWN,
    Status.CHECKING_HEALTH: frozenset(STARTUP_PHASES[2:]) | RUNNING | DOWN,
    Status.OPENING_TRAFFIC: RUNNING | DOWN,
    # A live update touches a machine that goes on serving.
    Status.RUNNING_ACTUAL: frozenset({Status.RUNNING_OUTDATED}) | DOWN,
    Status.RUNNING_OUTDATED: frozenset({Status.RUNNING_ACTUAL, Status.UPDATING_INSTANCE}) | DOWN,
    Status.CLOSING_TRAFFIC: frozenset({Status.STOPPING_INSTANCE, Status.STOPPED}),
    Status.STOPPING_INSTANCE: frozenset({Status.STOPPED}),
    Status.STOPPED: frozenset({Status.UPDATING_INSTANCE, Status.STARTING_INSTANCE, Status.DELETING_INSTANCE}),
    Status.UPDATING_INSTANCE: frozenset({Status.STARTING_INSTANCE, Status.STOPPING_INSTANCE, Status.STOPPED}) | RUNNING,
    Status.DELETING_INSTANCE: frozenset({Status.PREPARING_RESOURCES, Status.DELETED}),
    Status.DELETED: frozenset(),
}
"""The statuses that may follow each; a phase with nothing to wait for (no duration, no checks) is left out."""


def runs(member: Member) -> bool:
    return member.status in RUNNING and member.observed.compute is Compute.RUNNING


def serves(member: Member) -> bool:
    return runs(member) and member.observed.healthy is not False


class Watch:
    """Follows the actions of one decision, one by one, and holds each against the promises."""

    def __init__(self, group: Group, members: tuple[Member, ...]) -> None:
        self.group = group
        self.members = {member.id: member for member in members}

    def see(self, action: Action) -> None:
        match action:
            case CreateMember(member):
                assert len(self.members) < self.group.size + self.group.deploy.max_expansion, "over max_expansion"
                self.members[f"new {len(self.members)}"] = member
            case SaveMember(member):
                self._see_change(self.members[member.id], member)
                self.members[member.id] = member
            case DeleteMember(member_id):
                del self.members[member_id]
            case _:
                pass
        self._check_bounds()

    def _see_change(self, before: Member, after: Member) -> None:
        assert after.status is before.status or after.status in EDGES[before.status], (before, after)
        leaves = before.status in RUNNING and after.status not in RUNNING | {Status.UPDATING_INSTANCE}
        by_order = self.group.state not in (GroupState.STARTING, GroupState.ACTIVE) or before.requested is Goal.REMOVE
        if leaves and not by_order:
            for counts in (runs, serves):
                left = sum(map(counts, self.members.values())) - 1
                floor = self.group.size - self.group.deploy.max_unavailable
                assert not counts(before) or left >= floor, f"takes {before}, {left} are left"

    def _check_bounds(self) -> None:
        statuses = Counter(member.status for member in self.members.values())
        creating = statuses[Status.CREATING_INSTANCE] + statuses[Status.STARTING_INSTANCE]
        deleting = statuses[Status.STOPPING_INSTANCE] + statuses[Status.DELETING_INSTANCE]
        assert creating <= (self.group.deploy.max_creating or creating), "over max_creating"
        assert deleting <= (self.group.deploy.max_deleting or deleting), "over max_deleting"
        assert len({member.index for member in self.members.values()}) == len(self.members), "an index twice"
        tags = [member.tag for member in self.members.values() if member.tag]
        assert len(set(tags)) == len(tags), "a tag twice"


@dataclass(frozen=True)
class Event:
    """Something happens to machine `which`, then `carried` of the next decision's actions are carried out."""

    what: str
    which: int
    value: int
    carried: int | None
    seconds: float


def happen(world: Simulation, event: Event) -> None:
    """A thing that the outside world or the group's owner can do."""
    if ids := sorted(world.machines):
        member_id = ids[event.which % len(ids)]
        happen_to_machine(world.machines[member_id], event, world.now)
        if event.what == "request":
            goal = (Goal.RESTART, Goal.RECREATE, Goal.REMOVE)[event.value % 3]
            world.records[member_id] = replace(world.records[member_id], requested=goal)
    assert world.group is not None
    world.group = changed(world.group, event)


def happen_to_machine(machine: Machine, event: Event, now: float) -> None:
    if machine.compute not in ALIVE:
        return
    match event.what:
        case "crash":
            machine.compute = (Compute.STOPPED, Compute.CRASHED, Compute.ERROR)[event.value % 3]
        case "vanish":
            machine.compute, machine.registered_at = Compute.ABSENT, None
        case "delete":
            machine.compute, machine.settles_at = Compute.DELETING, now + event.value
        case "reboot":
            machine.compute, machine.settles_at = Compute.RESTARTING, now + event.value
        case "sick":
            machine.sick = True
        case "well":
            machine.sick = False


def changed(group: Group, event: Event) -> Group:
    match event.what:
        case "size":
            return replace(group, size=event.value)
        case "template":
            facet = ("live", "restart", "recreate")[event.which % 3]
            return replace(group, template=replace(group.template, **{facet: str(event.value)}))
        case "state":
            states = (GroupState.STARTING, GroupState.STOPPING, GroupState.PAUSED, GroupState.ACTIVE)
            return replace(group, state=states[event.value % 4])
        case _:
            return group


def watched_step(world: Simulation, carried: int | None, seconds: float) -> None:
    assert world.group is not None
    members, group = world.members(), world.group
    actions = world.decide()
    watch = Watch(group, members)
    for action in actions:
        watch.see(action)
    world.carry_out(actions[:carried])
    world.wait(seconds)


MISHAPS = ["crash", "crash", "vanish", "delete", "reboot", "sick", "sick", "well"]
WISHES = ["size", "template", "request", "state", "none", "none"]
events = st.builds(
    Event,
    what=st.sampled_from(MISHAPS + WISHES),
    which=st.integers(0, 11),
    value=st.integers(0, 6),
    carried=st.none() | st.integers(0, 12),
    seconds=st.sampled_from([0.0, 0.3, 1.0, 4.0]),
)
stories = st.lists(events, min_size=10, max_size=40)
policies = st.builds(
    DeployPolicy,
    max_unavailable=st.integers(0, 2),
    max_expansion=st.integers(0, 2),
    max_creating=st.sampled_from([0, 0, 1, 2]),
    max_deleting=st.sampled_from([0, 0, 1, 2]),
    startup_duration=st.sampled_from([0.0, 2.0]),
    minimal_action=st.sampled_from([Effect.LIVE, Effect.RESTART, Effect.RECREATE]),
).filter(lambda deploy: deploy.max_unavailable + deploy.max_expansion > 0)
ZONES = [
    (Zone("a"),),
    (Zone("a"), Zone("b"), Zone("d")),
    (Zone("a", tuple(f"a{i}" for i in range(9))),),
    (Zone("a", tuple(f"a{i}" for i in range(9))), Zone("b", tuple(f"b{i}" for i in range(9)))),
]
groups = st.builds(
    Group,
    size=st.integers(0, 6),
    zones=st.sampled_from(ZONES),
    template=st.just(TemplateHash("0", "0", "0")),
    deploy=policies,
    healing=st.sampled_from(Healing),
    has_checks=st.booleans(),
    max_checking_health=st.sampled_from([0.0, 5.0]),
    has_target_group=st.booleans(),
    opens_traffic=st.booleans(),
    max_opening_traffic=st.sampled_from([0.0, 5.0]),
    drain=st.sampled_from([0.0, 1.0]),
)


def live_through(group: Group, story: list[Event], seed: int) -> Simulation:
    world = Simulation(group, Pace(), seed)
    for event in story:
        happen(world, event)
        watched_step(world, event.carried, event.seconds)
    return world


def calm(world: Simulation) -> None:
    """Let nothing break from now on, and the group be active and heal."""
    for machine in world.machines.values():
        machine.sick = False
    if world.group:
        active = world.group.state is GroupState.ACTIVE
        healing = Healing.RECREATE if world.group.healing is Healing.NONE else world.group.healing
        state = GroupState.ACTIVE if active else GroupState.STARTING
        world.group = replace(world.group, healing=healing, state=state)


def step_until(world: Simulation, done: Callable[[], bool]) -> None:
    """Step the simulation, whose seconds take no time, until `done()`; at most 400 of them."""
    for _ in range(400):
        if done():
            return
        watched_step(world, None, 1)
    raise AssertionError(f"not within 400 s: {world.group}\n" + "\n".join(map(str, world.members())))


many = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
some = settings(many, max_examples=100)


@many
@given(groups, stories, st.integers(0, 5))
def test_promises_are_kept_and_the_group_reaches_its_target(group: Group, story: list[Event], seed: int) -> None:
    world = live_through(group, story, seed)
    calm(world)
    step_until(world, lambda: world.is_settled() and not world.decide())
    assert world.group is not None
    assert world.group.state is GroupState.ACTIVE
    assert all(machine.registered_at is not None for machine in world.machines.values()) or not group.has_target_group
    load = Counter(member.zone for member in world.members())
    spread = [load[zone.id] for zone in group.zones]
    assert max(spread) - min(spread) <= 1, spread
    world.wait(10_000)
    assert world.decide() == ()


@some
@given(groups, stories, st.integers(0, 5))
def test_a_deleted_group_leaves_nothing(group: Group, story: list[Event], seed: int) -> None:
    world = live_through(group, story, seed)
    assert world.group is not None
    world.group = replace(world.group, state=GroupState.DELETING)
    for _ in range(400):
        if world.group is None:
            break
        watched_step(world, None, 0.5)
    assert world.group is None
    assert not world.machines


@some
@given(groups, stories, st.integers(0, 5))
def test_a_stopped_group_runs_nothing(group: Group, story: list[Event], seed: int) -> None:
    world = live_through(group, story, seed)
    assert world.group is not None
    world.group = replace(world.group, state=GroupState.STOPPING)
    step_until(world, lambda: world.group is not None and world.group.state is GroupState.STOPPED)
    assert all(member.status is Status.STOPPED for member in world.members())
    assert not any(machine.compute in ALIVE for machine in world.machines.values())
    assert world.decide() == ()
