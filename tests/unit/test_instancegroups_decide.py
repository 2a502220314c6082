"""What Yandex documents of instance groups, example by example, on a simulated clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from localcloud.instancegroups.model import (
    Action,
    Compute,
    CreateInstance,
    CreateMember,
    DeployPolicy,
    Effect,
    Facets,
    Goal,
    Group,
    GroupState,
    Healing,
    Log,
    SaveMember,
    StartInstance,
    StopInstance,
    UpdateInstance,
    Zone,
)
from localcloud.instancegroups.simulate import Pace, Simulation
from localcloud.instancegroups.statuses import Status

QUICK = Pace(boot=0, stop=0, health=0, traffic=0)
ONE_ZONE = (Zone("a"),)


def settled(size: int, deploy: DeployPolicy | None = None, pace: Pace = QUICK, **policies: Any) -> Simulation:
    group = Group(size, policies.pop("zones", ONE_ZONE), Facets(), deploy or DeployPolicy(), **policies)
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
    """The statuses that a member goes through, each once."""
    saved = [a.member.status.name for a in actions if isinstance(a, SaveMember) and a.member.id == member_id]
    return [name for name, following in pairwise([*saved, ""]) if name != following]


def taken(actions: list[Action]) -> list[str]:
    return [action.id for action in actions if isinstance(action, StopInstance)]


def made(actions: list[Action]) -> int:
    return sum(isinstance(action, CreateMember) for action in actions)


def indices(world: Simulation) -> list[int]:
    return sorted(member.index for member in world.members())


def test_a_machine_comes_up_in_the_documented_order() -> None:
    deploy = DeployPolicy(startup_duration=2)
    group = Group(1, ONE_ZONE, Facets(), deploy, has_checks=True, has_target_group=True, opens_traffic=True)
    world = Simulation(group)
    assert path(live(world), "m1") == [
        "CREATING_INSTANCE",
        "AWAITING_STARTUP_DURATION",
        "CHECKING_HEALTH",
        "OPENING_TRAFFIC",
        "RUNNING_ACTUAL",
    ]


def test_without_checks_and_balancer_a_machine_is_in_use_once_it_runs() -> None:
    world = Simulation(Group(1, ONE_ZONE, Facets()))
    assert path(live(world), "m1") == ["CREATING_INSTANCE", "RUNNING_ACTUAL"]


def test_a_target_group_without_balancer_holds_nothing_up() -> None:
    world = settled(2, has_target_group=True, opens_traffic=False, pace=Pace(traffic=10_000))
    assert all(member.seen.registered for member in world.members())


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


def test_a_machine_that_nobody_heals_is_taken_back_when_it_is_started_by_hand() -> None:
    world = settled(1, healing=Healing.NONE)
    world.machines["m1"].compute = Compute.STOPPED
    live(world)
    world.machines["m1"].compute = Compute.RUNNING
    assert path(live(world), "m1") == ["STARTING_INSTANCE", "RUNNING_ACTUAL"]


def test_a_machine_that_dies_at_every_boot_is_tried_ever_less_often() -> None:
    world = settled(1)
    started = []
    for _ in range(400):
        started += [world.now for action in world.step(0.5) if isinstance(action, StartInstance)]
        world.machines["m1"].compute = Compute.CRASHED
    pauses = [later - earlier for earlier, later in pairwise(started)]
    assert pauses[0] <= 0.5
    assert pauses[1:5] == sorted(pauses[1:5])
    assert 30 <= pauses[-1] <= 31


def test_a_template_changed_while_a_machine_waits_for_its_next_attempt_costs_it_nothing() -> None:
    world = Simulation(Group(1, ONE_ZONE, Facets()), QUICK)
    for _ in range(20):
        world.step(0.5)
        world.machines["m1"].compute = Compute.ERROR
    change(world, facets=Facets(restart="new"))
    assert world.settle(40)


def test_a_failing_machine_that_nobody_heals_holds_back_the_update_of_the_others() -> None:
    world = settled(3, DeployPolicy(1, 0), has_checks=True, healing=Healing.NONE)
    world.machines["m2"].sick = True
    world.records["m2"] = replace(world.records["m2"], facets=Facets(restart="new"))
    world.machines["m2"].template = Facets(restart="new")
    change(world, facets=Facets(restart="new"))
    assert taken(live(world)) == []


def test_of_ten_failing_machines_three_restart_and_the_recovered_are_left_alone() -> None:
    world = settled(10, DeployPolicy(3, 0), has_checks=True, pace=Pace(stop=3))
    for machine in world.machines.values():
        machine.sick = True
    assert len(taken(list(world.step(0.5)))) == 3
    for machine in world.machines.values():
        machine.sick = False
    assert taken(live(world)) == []
    assert world.is_whole()


def test_when_the_failing_recover_the_creation_of_extra_machines_is_cancelled() -> None:
    world = settled(10, DeployPolicy(0, 3), has_checks=True, pace=Pace(boot=3))
    for machine in world.machines.values():
        machine.sick = True
    assert made(list(world.step(0.5))) == 3
    for machine in world.machines.values():
        machine.sick = False
    assert world.settle()
    assert indices(world) == list(range(1, 11))


def test_without_unavailable_machines_an_extra_one_is_whole_before_the_failed_one_goes() -> None:
    world = settled(2, DeployPolicy(0, 1), has_checks=True, pace=Pace())
    world.machines["m1"].sick = True
    gone = {1: 0}
    while world.machines.get("m1"):
        gone[1] += "m1" in taken(list(world.step(0.5)))
        assert sum(status is Status.RUNNING_ACTUAL for status in statuses(world).values()) >= 2
    assert gone == {1: 1}
    assert world.settle()
    assert indices(world) == [2, 3]


def test_growth_and_healing_create_side_by_side() -> None:
    world = settled(4, DeployPolicy(0, 1), has_checks=True)
    world.machines["m1"].sick = world.machines["m2"].sick = True
    change(world, size=6)
    assert made(list(world.step(0.5))) == 3


def test_a_failed_check_goes_before_the_update() -> None:
    world = settled(5, DeployPolicy(1, 0), has_checks=True)
    world.machines["m4"].sick = True
    change(world, facets=Facets(restart="new"))
    assert taken(list(world.step(0.5))) == ["m4"]


def test_what_heals_is_updated_on_the_way() -> None:
    world = settled(2, DeployPolicy(1, 0))
    world.machines["m2"].compute = Compute.CRASHED
    change(world, facets=Facets(restart="new"), deploy=DeployPolicy(1, 0, opportunistic=True))
    assert "UPDATING_INSTANCE" in path(live(world), "m2")
    assert statuses(world) == {"m1": Status.RUNNING_OUTDATED, "m2": Status.RUNNING_ACTUAL}


@pytest.mark.parametrize("phase", ["max_checking_health", "max_opening_traffic"])
def test_a_machine_that_never_gets_well_is_recovered_after_its_time(phase: str) -> None:
    group = Group(1, ONE_ZONE, Facets(), has_checks=True, has_target_group=True, opens_traffic=True, **{phase: 20.0})  # type: ignore[arg-type]
    endless = Pace(0, 0, 10_000, 0) if phase == "max_checking_health" else Pace(0, 0, 0, 10_000)
    world = Simulation(group, endless)
    assert taken(live(world, 38)) == []
    assert taken(live(world, 6)) == ["m1"]


def test_a_live_change_reaches_all_at_once_and_stops_nothing() -> None:
    world = settled(5, has_target_group=True)
    change(world, facets=Facets(live="new"))
    actions = list(world.step(0.5))
    assert [action.effect for action in actions if isinstance(action, UpdateInstance)] == [Effect.LIVE] * 5
    assert path(actions, "m1") == ["RUNNING_OUTDATED", "UPDATING_INSTANCE", "RUNNING_ACTUAL"]
    assert taken(live(world)) == []


@pytest.mark.parametrize(
    ("facets", "minimal", "way"),
    [
        (Facets(live="new"), Effect.RESTART, "UPDATING_INSTANCE"),
        (Facets(live="new"), Effect.RECREATE, "CREATING_INSTANCE"),
        (Facets(restart="new"), Effect.LIVE, "UPDATING_INSTANCE"),
        (Facets(restart="new"), Effect.RECREATE, "CREATING_INSTANCE"),
        (Facets(recreate="new"), Effect.LIVE, "CREATING_INSTANCE"),
        (Facets(recreate="new"), Effect.RESTART, "CREATING_INSTANCE"),
    ],
)
def test_an_update_takes_the_worst_of_change_and_minimal_action(facets: Facets, minimal: Effect, way: str) -> None:
    world = settled(1, DeployPolicy(1, 0, minimal_action=minimal))
    change(world, facets=facets)
    assert way in path(live(world), "m1")
    assert world.is_whole()


def test_a_rolling_update_takes_one_after_the_other() -> None:
    world = settled(3, DeployPolicy(1, 0), pace=Pace())
    change(world, facets=Facets(restart="new"))
    order = []
    while not world.is_whole():
        order += taken(list(world.step(0.5)))
        assert sum(s in (Status.RUNNING_ACTUAL, Status.RUNNING_OUTDATED) for s in statuses(world).values()) >= 2
    assert order == ["m1", "m2", "m3"]


def test_the_documented_example_of_the_deployment_algorithm() -> None:
    """deploy.md: two become three while both are updated; one old one is updated in its place, the other one goes."""
    world = settled(2, DeployPolicy(0, 1))
    change(world, size=3, facets=Facets(restart="new"))
    actions = live(world)
    assert made(actions) == 2
    assert path(actions, "m1")[-2:] == ["STARTING_INSTANCE", "RUNNING_ACTUAL"]
    assert Log("m2", "leave: the template changed") in actions
    assert path(actions, "m2")[-1] == "DELETED"
    assert indices(world) == [1, 3, 4]


def test_a_template_taken_back_while_a_machine_is_stopped_just_starts_it_again() -> None:
    world = settled(1, DeployPolicy(1, 0), pace=Pace(stop=2))
    change(world, facets=Facets(restart="new"))
    world.step(0.5)
    change(world, facets=Facets())
    assert path(live(world), "m1") == ["STOPPED", "STARTING_INSTANCE", "RUNNING_ACTUAL"]


def test_a_worse_change_in_the_middle_of_an_update_recreates_the_machine() -> None:
    world = settled(1, DeployPolicy(1, 0), pace=Pace(stop=1))
    change(world, facets=Facets(restart="new"))
    while world.machines["m1"].compute is not Compute.UPDATING:
        world.step(0.1)
    change(world, facets=Facets(restart="new", recreate="new"))
    assert "CREATING_INSTANCE" in path(live(world), "m1")
    assert world.is_whole()


def test_a_template_mended_in_the_middle_of_a_broken_update_converges() -> None:
    world = settled(3, DeployPolicy(0, 1), has_checks=True, pace=Pace())
    change(world, facets=Facets(recreate="broken"))
    for _ in range(40):
        world.step(0.5)
        for machine in world.machines.values():
            machine.sick = machine.template.recreate == "broken"
    assert Counter(statuses(world).values())[Status.RUNNING_OUTDATED] == 3
    change(world, facets=Facets(recreate="mended"))
    for _ in range(200):
        world.step(0.5)
        for machine in world.machines.values():
            machine.sick = machine.template.recreate == "broken"
    assert world.is_whole()


def test_the_opportunistic_strategy_waits_until_a_machine_stops_or_fails() -> None:
    world = settled(3, DeployPolicy(1, 0, opportunistic=True), has_checks=True, healing=Healing.NONE)
    change(world, facets=Facets(restart="new"))
    request(world, "m1", Goal.RECREATE)
    assert taken(live(world)) == []
    world.machines["m1"].compute = Compute.STOPPED
    world.machines["m2"].sick = True
    live(world)
    wanted = {"m1": Status.RUNNING_ACTUAL, "m2": Status.RUNNING_ACTUAL, "m3": Status.RUNNING_OUTDATED}
    assert statuses(world) == wanted


def request(world: Simulation, member_id: str, goal: Goal) -> None:
    world.records[member_id] = replace(world.records[member_id], requested=goal)


@pytest.mark.parametrize(("goal", "way"), [(Goal.RESTART, "STARTING_INSTANCE"), (Goal.RECREATE, "CREATING_INSTANCE")])
def test_a_rolling_action_reaches_the_named_machines_alone_one_by_one(goal: Goal, way: str) -> None:
    world = settled(4, DeployPolicy(1, 0), pace=Pace())
    request(world, "m2", goal)
    request(world, "m4", goal)
    actions: list[Action] = []
    while not world.is_whole() or world.decide():
        actions += world.step(0.5)
        assert sum(status is Status.RUNNING_ACTUAL for status in statuses(world).values()) >= 3
    assert taken(actions) == ["m2", "m4"]
    assert way in path(actions, "m2")


def test_a_deleted_machine_is_replaced_or_not_as_the_size_says() -> None:
    world = settled(3)
    request(world, "m2", Goal.LEAVE)
    assert world.settle()
    assert indices(world) == [1, 3, 4]
    request(world, "m1", Goal.LEAVE)
    change(world, size=2)
    assert world.settle()
    assert "m1" not in world.machines


def test_a_smaller_group_loses_the_failed_then_the_outdated_then_the_highest_index() -> None:
    opportunistic = DeployPolicy(0, 1, opportunistic=True)
    world = settled(5, opportunistic, has_checks=True, healing=Healing.NONE)
    change(world, facets=Facets(restart="new"))
    for member_id in ("m1", "m3", "m4", "m5"):
        world.records[member_id] = replace(world.records[member_id], facets=Facets(restart="new"))
        world.machines[member_id].template = Facets(restart="new")
    world.machines["m3"].sick = True
    live(world, 4)
    change(world, size=2)
    assert taken(live(world)) == ["m3", "m2", "m5"]


@pytest.mark.parametrize(("size", "spread"), [(4, [2, 2, 0]), (5, [3, 2, 0]), (2, [1, 1, 0])])
def test_zones_fill_evenly_in_their_order(size: int, spread: list[int]) -> None:
    zones = (Zone("d"), Zone("a")) if size > 2 else (Zone("d"), Zone("a"), Zone("b"))
    world = settled(size, zones=zones)
    load = Counter(member.zone for member in world.members())
    assert [load["d"], load["a"], load["b"]] == spread
    for zone in load:
        assert sorted(m.index_in_zone for m in world.members() if m.zone == zone) == list(range(1, load[zone] + 1))


def test_zones_stay_even_without_a_move() -> None:
    world = settled(2, DeployPolicy(0, 1), zones=(Zone("a"), Zone("b")), has_checks=True)
    world.machines["m2"].sick = True
    assert made(live(world)) == 1
    change(world, facets=Facets(recreate="new"))
    assert made(live(world)) == 1
    assert Counter(member.zone for member in world.members()) == {"a": 1, "b": 1}


def test_a_zone_that_lost_more_than_the_other_gets_one_back() -> None:
    world = settled(4, DeployPolicy(1, 0), zones=(Zone("a"), Zone("b")))
    request(world, "m2", Goal.LEAVE)
    request(world, "m4", Goal.LEAVE)
    change(world, size=2)
    assert world.settle()
    live(world)
    assert Counter(member.zone for member in world.members()) == {"a": 1, "b": 1}


def test_machines_move_to_the_zones_that_the_group_now_has() -> None:
    world = settled(4, zones=(Zone("a"), Zone("b")))
    change(world, zones=(Zone("b"), Zone("d")))
    assert world.settle()
    assert Counter(member.zone for member in world.members()) == {"b": 2, "d": 2}


def tags(world: Simulation) -> list[str]:
    return sorted(member.tag for member in world.members())


def test_tags_are_always_the_first_of_the_pool() -> None:
    world = settled(2, DeployPolicy(0, 1), zones=(Zone("a", ("one", "three", "two")),))
    assert tags(world) == ["one", "three"]
    change(world, facets=Facets(recreate="new"))
    assert world.settle()
    assert tags(world) == ["one", "three"]
    change(world, size=1)
    assert world.settle()
    assert tags(world) == ["one"]
    change(world, size=3)
    assert world.settle()
    assert tags(world) == ["one", "three", "two"]


def test_the_first_tag_stays_even_with_its_machine_down() -> None:
    zones = (Zone("a", ("one", "three", "two")),)
    world = settled(3, DeployPolicy(3, 0, max_deleting=1), zones=zones, healing=Healing.NONE, pace=Pace(stop=1))
    world.machines["m1"].compute = Compute.STOPPED
    change(world, size=1)
    live(world)
    assert tags(world) == ["one"]


def test_a_tag_taken_from_the_pool_takes_its_machine_along() -> None:
    world = settled(2, DeployPolicy(1, 0), zones=(Zone("a", ("one", "two")),))
    change(world, zones=(Zone("a", ("two", "three")),))
    assert world.settle()
    assert tags(world) == ["three", "two"]


def test_an_edge_keeps_its_tag_and_index_through_healing_and_update() -> None:
    zones = (Zone("a", ("first", "second")),)
    world = settled(2, DeployPolicy(1, 0, minimal_action=Effect.RECREATE), zones=zones, healing=Healing.RECREATE)
    before = {(m.id, m.index, m.tag) for m in world.members()}
    world.machines["m1"].compute = Compute.CRASHED
    change(world, facets=Facets(restart="new"))
    assert world.settle()
    assert {(m.id, m.index, m.tag) for m in world.members()} == before


def test_a_paused_group_does_nothing_whatever_happens() -> None:
    world = settled(2)
    change(world, state=GroupState.PAUSED, size=5, facets=Facets(restart="new"))
    world.machines["m1"].compute = Compute.CRASHED
    assert world.decide() == ()
    change(world, state=GroupState.ACTIVE)
    assert world.settle()


@pytest.mark.parametrize("state", [GroupState.STOPPING, GroupState.DELETING])
def test_no_machine_is_made_for_a_group_that_ends(state: GroupState) -> None:
    world = Simulation(Group(3, ONE_ZONE, Facets()))
    world.step(0.5)
    change(world, state=state)
    assert not any(isinstance(action, CreateInstance) for action in live(world))


def test_a_stopped_group_keeps_its_machines_and_applies_changes_when_it_starts() -> None:
    world = settled(3, has_target_group=True)
    change(world, state=GroupState.STOPPING)
    assert path(live(world), "m1") == ["CLOSING_TRAFFIC", "STOPPING_INSTANCE", "STOPPED"]
    change(world, size=2, facets=Facets(restart="new"))
    assert live(world) == []
    change(world, state=GroupState.STARTING)
    assert world.settle()
    assert world.machines.keys() == {"m1", "m2"}


def test_a_machine_keeps_running_for_a_while_once_its_traffic_is_closed() -> None:
    world = settled(1, DeployPolicy(1, 0), has_target_group=True, drain=3)
    change(world, size=0)
    assert taken(live(world, 6)) == []
    assert statuses(world) == {"m1": Status.CLOSING_TRAFFIC}
    assert not world.members()[0].seen.registered
    assert taken(live(world, 2)) == ["m1"]


def test_an_action_lost_with_the_daemon_is_decided_again() -> None:
    world = Simulation(Group(1, ONE_ZONE, Facets()), QUICK)
    world.step(0.5)
    first = world.decide()
    assert CreateInstance("m1") in first
    assert CreateInstance("m1") in world.decide()
    world.carry_out([action for action in first if not isinstance(action, CreateInstance)])
    assert CreateInstance("m1") in world.decide()


def test_an_update_whose_record_was_lost_is_made_undone_when_the_template_is_taken_back() -> None:
    world = settled(1, DeployPolicy(1, 0))
    change(world, facets=Facets(restart="new"))
    actions: tuple[Action, ...] = ()
    while not any(isinstance(action, UpdateInstance) for action in actions):
        world.carry_out(actions)
        world.wait(0.5)
        actions = world.decide()
    world.carry_out(actions[: 1 + next(i for i, action in enumerate(actions) if isinstance(action, UpdateInstance))])
    change(world, facets=Facets())
    assert world.settle()


def test_the_log_says_why() -> None:
    world = settled(2, DeployPolicy(1, 0), has_checks=True)
    world.machines["m1"].compute = Compute.CRASHED
    world.machines["m2"].sick = True
    change(world, deploy=DeployPolicy(2, 0))
    logged = [action for action in world.step(0.5) if isinstance(action, Log)]
    assert logged == [
        Log("m1", "restart: Compute says CRASHED"),
        Log("m2", "restart: its health check fails"),
    ]
