"""The life and healing of an instance group, by the examples of Yandex's documentation, on a simulated clock."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from samovar.localcloud.compute.instance_groups.actions import (
    Action,
    CreateInstance,
    Log,
    StartInstance,
    UpdateInstance,
)
from samovar.localcloud.compute.instance_groups.decide import decide
from samovar.localcloud.compute.instance_groups.state import (
    Compute,
    DeployPolicy,
    Goal,
    Group,
    GroupState,
    Healing,
    Status,
    TemplateHash,
)
from tests.support.group_simulation import Pace, Simulation
from tests.support.groups import (
    ONE_ZONE,
    QUICK,
    change,
    created_machines,
    indices,
    live,
    path,
    settled,
    statuses,
    taken,
)


def test_a_machine_comes_up_in_the_documented_order() -> None:
    deploy = DeployPolicy(startup_duration=2)
    group = Group(1, ONE_ZONE, TemplateHash(), deploy, has_checks=True, has_target_group=True, opens_traffic=True)
    world = Simulation(group)
    assert path(live(world), "m1") == [
        "CREATING_INSTANCE",
        "AWAITING_STARTUP_DURATION",
        "CHECKING_HEALTH",
        "OPENING_TRAFFIC",
        "RUNNING_ACTUAL",
    ]


def test_without_checks_and_balancer_a_machine_is_in_use_once_it_runs() -> None:
    world = Simulation(Group(1, ONE_ZONE, TemplateHash()))
    assert path(live(world), "m1") == ["CREATING_INSTANCE", "RUNNING_ACTUAL"]


def test_a_target_group_without_balancer_holds_nothing_up() -> None:
    world = settled(2, has_target_group=True, opens_traffic=False, pace=Pace(traffic=10_000))
    assert all(member.observed.registered for member in world.members())


def test_a_balancer_is_waited_for_and_then_no_longer_watched() -> None:
    world = settled(2, has_checks=False, has_target_group=True, opens_traffic=True, pace=Pace(0, 0, 0, 5))
    for machine in world.machines.values():
        machine.sick = True
    assert live(world) == []


def test_a_dead_machine_is_healed_at_once_beyond_every_quota() -> None:
    world = settled(3, DeployPolicy(max_unavailable=0, max_expansion=1), healing=Healing.RECREATE)
    for machine in world.machines.values():
        machine.compute = Compute.CRASHED
    actions = world.step(0)
    assert {action.id for action in actions if isinstance(action, Log)} == {"m1", "m2", "m3"}
    before = {(m.id, m.index, m.zone) for m in world.members()}
    assert world.settle(10)
    assert {(m.id, m.index, m.zone) for m in world.members()} == before


@pytest.mark.parametrize(
    ("healing", "way"),
    [
        (Healing.RESTART, ["CLOSING_TRAFFIC", "STOPPED", "STARTING_INSTANCE", "OPENING_TRAFFIC", "RUNNING_ACTUAL"]),
        (
            Healing.RECREATE,
            [
                "CLOSING_TRAFFIC",
                "STOPPED",
                "DELETING_INSTANCE",
                "PREPARING_RESOURCES",
                "CREATING_INSTANCE",
                "OPENING_TRAFFIC",
                "RUNNING_ACTUAL",
            ],
        ),
        (Healing.NONE, ["CLOSING_TRAFFIC", "STOPPED"]),
    ],
)
def test_the_dead_are_healed_by_the_groups_action(healing: Healing, way: list[str]) -> None:
    world = settled(2, healing=healing, has_target_group=True)
    world.machines["m2"].compute = Compute.STOPPED
    assert path(live(world), "m2") == way


def test_a_stopped_machine_without_healing_rejoins_its_group_when_it_is_started_manually() -> None:
    world = settled(1, healing=Healing.NONE)
    world.machines["m1"].compute = Compute.STOPPED
    live(world)
    world.machines["m1"].compute = Compute.RUNNING
    assert path(live(world), "m1") == ["STARTING_INSTANCE", "RUNNING_ACTUAL"]


def test_a_machine_that_dies_at_every_boot_is_tried_ever_less_often() -> None:
    world = settled(1)
    world.run(20)
    started = []
    for _ in range(400):
        started += [world.now for action in world.step(0.5) if isinstance(action, StartInstance)]
        world.machines["m1"].compute = Compute.CRASHED
    pauses = [later - earlier for earlier, later in pairwise(started)]
    assert pauses[0] <= 0.5
    assert pauses[1:5] == sorted(pauses[1:5])
    assert 30 <= pauses[-1] <= 31


def test_a_machine_that_dies_soon_after_each_boot_is_tried_ever_less_often() -> None:
    world = settled(1)
    started = []
    for step in range(400):
        started += [world.now for action in world.step(0.5) if isinstance(action, StartInstance)]
        if step % 4 == 0:
            world.machines["m1"].compute = Compute.CRASHED
    pauses = [later - earlier for earlier, later in pairwise(started)]
    assert pauses[1:5] == sorted(pauses[1:5])
    assert pauses[-1] >= 30


def test_a_machine_that_has_served_for_a_while_is_started_again_at_once() -> None:
    world = settled(1)
    for _ in range(4):
        world.settle(40)
        world.step(20)
        world.machines["m1"].compute = Compute.CRASHED
        died = world.now
        assert world.settle(40)
        assert world.now - died <= 2


def test_a_template_change_does_not_delay_the_next_attempt_of_a_waiting_machine() -> None:
    world = Simulation(Group(1, ONE_ZONE, TemplateHash()), QUICK)
    for _ in range(20):
        world.step(0.5)
        world.machines["m1"].compute = Compute.ERROR
    change(world, template=TemplateHash(restart="new"))
    assert world.settle(40)


def test_a_failing_machine_without_healing_holds_back_the_update_of_the_others() -> None:
    world = settled(3, DeployPolicy(1, 0), has_checks=True, healing=Healing.NONE)
    world.machines["m2"].sick = True
    world.records["m2"] = replace(world.records["m2"], template=TemplateHash(restart="new"))
    world.machines["m2"].template = TemplateHash(restart="new")
    change(world, template=TemplateHash(restart="new"))
    assert taken(live(world)) == []


def test_of_ten_failing_machines_three_restart_and_the_recovered_are_left_alone() -> None:
    world = settled(10, DeployPolicy(3, 0), has_checks=True, pace=Pace(stop=3))
    for machine in world.machines.values():
        machine.sick = True
    assert len(taken(list(world.step(0.5)))) == 3
    for machine in world.machines.values():
        machine.sick = False
    assert taken(live(world)) == []
    assert world.is_settled()


def test_when_the_failing_recover_the_creation_of_extra_machines_is_cancelled() -> None:
    world = settled(10, DeployPolicy(0, 3), has_checks=True, pace=Pace(boot=3))
    for machine in world.machines.values():
        machine.sick = True
    assert created_machines(list(world.step(0.5))) == 3
    for machine in world.machines.values():
        machine.sick = False
    assert world.settle()
    assert indices(world) == list(range(1, 11))


def test_with_max_unavailable_0_an_extra_machine_runs_before_the_failed_one_is_deleted() -> None:
    world = settled(2, DeployPolicy(0, 1), has_checks=True, pace=Pace())
    world.machines["m1"].sick = True
    deletions = {1: 0}
    while world.machines.get("m1"):
        deletions[1] += "m1" in taken(list(world.step(0.5)))
        assert sum(status is Status.RUNNING_ACTUAL for status in statuses(world).values()) >= 2
    assert deletions == {1: 1}
    assert world.settle()
    assert indices(world) == [2, 3]


def test_growth_and_healing_create_side_by_side() -> None:
    world = settled(4, DeployPolicy(0, 1), has_checks=True)
    world.machines["m1"].sick = world.machines["m2"].sick = True
    change(world, size=6)
    assert created_machines(list(world.step(0.5))) == 3


def test_a_failed_check_goes_before_the_update() -> None:
    world = settled(5, DeployPolicy(1, 0), has_checks=True)
    world.machines["m4"].sick = True
    change(world, template=TemplateHash(restart="new"))
    assert taken(list(world.step(0.5))) == ["m4"]


def test_healing_applies_the_current_template() -> None:
    world = settled(2, DeployPolicy(1, 0))
    world.machines["m2"].compute = Compute.CRASHED
    change(world, template=TemplateHash(restart="new"), deploy=DeployPolicy(1, 0, opportunistic=True))
    assert "UPDATING_INSTANCE" in path(live(world), "m2")
    assert statuses(world) == {"m1": Status.RUNNING_OUTDATED, "m2": Status.RUNNING_ACTUAL}


def test_machines_that_recover_during_an_update_are_stopped_one_after_the_other() -> None:
    """They came down dead, when no slot of `max_deleting` was asked for."""
    world = settled(2, DeployPolicy(2, 0, max_deleting=1))
    assert world.group
    updating = [replace(each, status=Status.UPDATING_INSTANCE, goal=Goal.RECREATE) for each in world.members()]
    assert len(taken(list(decide(world.group, updating, 0.0)))) == 1


@pytest.mark.parametrize("phase", ["max_checking_health", "max_opening_traffic"])
def test_a_machine_that_never_gets_well_is_recovered_after_its_time(phase: str) -> None:
    checked = Group(1, ONE_ZONE, TemplateHash(), has_checks=True, has_target_group=True, opens_traffic=True)
    group = replace(checked, **{phase: 20.0})  # type: ignore[arg-type]
    endless = Pace(0, 0, 10_000, 0) if phase == "max_checking_health" else Pace(0, 0, 0, 10_000)
    world = Simulation(group, endless)
    assert taken(live(world, 38)) == []
    assert taken(live(world, 6)) == ["m1"]


def test_a_paused_group_takes_no_action() -> None:
    world = settled(2)
    change(world, state=GroupState.PAUSED, size=5, template=TemplateHash(restart="new"))
    world.machines["m1"].compute = Compute.CRASHED
    assert world.decide() == ()
    change(world, state=GroupState.ACTIVE)
    assert world.settle()


@pytest.mark.parametrize("state", [GroupState.STOPPING, GroupState.DELETING])
def test_no_machine_is_created_for_a_group_that_is_deleted(state: GroupState) -> None:
    world = Simulation(Group(3, ONE_ZONE, TemplateHash()))
    world.step(0.5)
    change(world, state=state)
    assert not any(isinstance(action, CreateInstance) for action in live(world))


def test_a_stopped_group_keeps_its_machines_and_applies_changes_when_it_starts() -> None:
    world = settled(3, has_target_group=True)
    change(world, state=GroupState.STOPPING)
    assert path(live(world), "m1") == ["CLOSING_TRAFFIC", "STOPPING_INSTANCE", "STOPPED"]
    change(world, size=2, template=TemplateHash(restart="new"))
    assert live(world) == []
    change(world, state=GroupState.STARTING)
    assert world.settle()
    assert world.machines.keys() == {"m1", "m2"}


def test_a_machine_keeps_running_for_a_while_once_its_traffic_is_closed() -> None:
    world = settled(1, DeployPolicy(1, 0), has_target_group=True, drain=3)
    change(world, size=0)
    assert taken(live(world, 6)) == []
    assert statuses(world) == {"m1": Status.CLOSING_TRAFFIC}
    assert not world.members()[0].observed.registered
    assert taken(live(world, 2)) == ["m1"]


def test_an_action_lost_with_the_daemon_is_decided_again() -> None:
    world = Simulation(Group(1, ONE_ZONE, TemplateHash()), QUICK)
    world.step(0.5)
    first = world.decide()
    assert CreateInstance("m1") in first
    assert CreateInstance("m1") in world.decide()
    world.carry_out([action for action in first if not isinstance(action, CreateInstance)])
    assert CreateInstance("m1") in world.decide()


def test_an_update_without_a_record_is_reverted_with_the_template() -> None:
    world = settled(1, DeployPolicy(1, 0))
    change(world, template=TemplateHash(restart="new"))
    actions: tuple[Action, ...] = ()
    while not any(isinstance(action, UpdateInstance) for action in actions):
        world.carry_out(actions)
        world.wait(0.5)
        actions = world.decide()
    world.carry_out(actions[: 1 + next(i for i, action in enumerate(actions) if isinstance(action, UpdateInstance))])
    change(world, template=TemplateHash())
    assert world.settle()


def test_the_log_states_the_reason() -> None:
    world = settled(2, DeployPolicy(1, 0), has_checks=True)
    world.machines["m1"].compute = Compute.CRASHED
    world.machines["m2"].sick = True
    change(world, deploy=DeployPolicy(2, 0))
    logged = [action for action in world.step(0.5) if isinstance(action, Log)]
    assert logged == [
        Log("m1", "restart: Compute says CRASHED"),
        Log("m2", "restart: its health check fails"),
    ]


def test_a_clock_that_was_set_back_holds_up_no_attempt_that_is_due() -> None:
    world = settled(1)
    for _ in range(40):
        world.step(0.5)
        world.machines["m1"].compute = Compute.CRASHED
    world.now -= 86_400
    began = world.now
    while not any(isinstance(action, StartInstance) for action in world.step(0.5)):
        assert world.now - began < 40


def test_a_clock_that_was_set_back_holds_up_no_machine_that_drains() -> None:
    world = settled(1, DeployPolicy(1, 0), drain=2.0, has_target_group=True)
    change(world, template=TemplateHash(recreate="new"))
    world.step(0.5)
    assert statuses(world) == {"m1": Status.CLOSING_TRAFFIC}
    world.now -= 86_400
    assert path(live(world), "m1")[-1] == "RUNNING_ACTUAL"
