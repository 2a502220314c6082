"""Updates, rolling actions, sizes, zones and tags, by the examples of Yandex's documentation."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from samovar.localcloud.compute.instance_groups.actions import Action, Log, UpdateInstance
from samovar.localcloud.compute.instance_groups.state import (
    Compute,
    DeployPolicy,
    Effect,
    Goal,
    Healing,
    Status,
    TemplateHash,
    Zone,
)
from tests.support.group_simulation import Pace, Simulation
from tests.support.groups import change, created_machines, indices, live, path, settled, statuses, taken


def test_a_live_change_reaches_all_at_once_and_stops_nothing() -> None:
    world = settled(5, has_target_group=True)
    change(world, template=TemplateHash(live="new"))
    actions = list(world.step(0.5))
    assert [action.effect for action in actions if isinstance(action, UpdateInstance)] == [Effect.LIVE] * 5
    assert path(actions, "m1") == ["RUNNING_OUTDATED", "UPDATING_INSTANCE", "RUNNING_ACTUAL"]
    assert taken(live(world)) == []


@pytest.mark.parametrize(
    ("template", "minimal", "way"),
    [
        (TemplateHash(live="new"), Effect.RESTART, "UPDATING_INSTANCE"),
        (TemplateHash(live="new"), Effect.RECREATE, "CREATING_INSTANCE"),
        (TemplateHash(restart="new"), Effect.LIVE, "UPDATING_INSTANCE"),
        (TemplateHash(restart="new"), Effect.RECREATE, "CREATING_INSTANCE"),
        (TemplateHash(recreate="new"), Effect.LIVE, "CREATING_INSTANCE"),
        (TemplateHash(recreate="new"), Effect.RESTART, "CREATING_INSTANCE"),
    ],
)
def test_an_update_takes_the_worst_of_change_and_minimal_action(
    template: TemplateHash, minimal: Effect, way: str
) -> None:
    world = settled(1, DeployPolicy(1, 0, minimal_action=minimal))
    change(world, template=template)
    assert way in path(live(world), "m1")
    assert world.is_settled()


def test_a_rolling_update_takes_one_after_the_other() -> None:
    world = settled(3, DeployPolicy(1, 0), pace=Pace())
    change(world, template=TemplateHash(restart="new"))
    order = []
    while not world.is_settled():
        order += taken(list(world.step(0.5)))
        assert sum(s in (Status.RUNNING_ACTUAL, Status.RUNNING_OUTDATED) for s in statuses(world).values()) >= 2
    assert order == ["m1", "m2", "m3"]


def test_the_documented_example_of_the_deployment_algorithm() -> None:
    """deploy.md: two become three while both are updated; one old one is updated in its place, the other one goes."""
    world = settled(2, DeployPolicy(0, 1))
    change(world, size=3, template=TemplateHash(restart="new"))
    actions = live(world)
    assert created_machines(actions) == 2
    assert path(actions, "m1")[-2:] == ["STARTING_INSTANCE", "RUNNING_ACTUAL"]
    assert Log("m2", "leave: the template changed") in actions
    assert path(actions, "m2")[-1] == "DELETED"
    assert indices(world) == [1, 3, 4]


def test_a_reverted_template_starts_a_stopped_machine_again() -> None:
    world = settled(1, DeployPolicy(1, 0), pace=Pace(stop=2))
    change(world, template=TemplateHash(restart="new"))
    world.step(0.5)
    change(world, template=TemplateHash())
    assert path(live(world), "m1") == ["STOPPED", "STARTING_INSTANCE", "RUNNING_ACTUAL"]


def test_a_worse_change_in_the_middle_of_an_update_recreates_the_machine() -> None:
    world = settled(1, DeployPolicy(1, 0), pace=Pace(stop=1))
    change(world, template=TemplateHash(restart="new"))
    while world.machines["m1"].compute is not Compute.UPDATING:
        world.step(0.1)
    change(world, template=TemplateHash(restart="new", recreate="new"))
    assert "CREATING_INSTANCE" in path(live(world), "m1")
    assert world.is_settled()


def test_a_template_mended_in_the_middle_of_a_broken_update_converges() -> None:
    world = settled(3, DeployPolicy(0, 1), has_checks=True, pace=Pace())
    change(world, template=TemplateHash(recreate="broken"))
    for _ in range(40):
        world.step(0.5)
        for machine in world.machines.values():
            machine.sick = machine.template.recreate == "broken"
    assert Counter(statuses(world).values())[Status.RUNNING_OUTDATED] == 3
    change(world, template=TemplateHash(recreate="mended"))
    for _ in range(200):
        world.step(0.5)
        for machine in world.machines.values():
            machine.sick = machine.template.recreate == "broken"
    assert world.is_settled()


def test_the_opportunistic_strategy_waits_until_a_machine_stops_or_fails() -> None:
    world = settled(3, DeployPolicy(1, 0, opportunistic=True), has_checks=True, healing=Healing.NONE)
    change(world, template=TemplateHash(restart="new"))
    request(world, "m1", Goal.RECREATE)
    assert taken(live(world)) == []
    world.machines["m1"].compute = Compute.STOPPED
    world.machines["m2"].sick = True
    live(world)
    expected = {"m1": Status.RUNNING_ACTUAL, "m2": Status.RUNNING_ACTUAL, "m3": Status.RUNNING_OUTDATED}
    assert statuses(world) == expected


def request(world: Simulation, member_id: str, goal: Goal) -> None:
    world.records[member_id] = replace(world.records[member_id], requested=goal)


@pytest.mark.parametrize(("goal", "way"), [(Goal.RESTART, "STARTING_INSTANCE"), (Goal.RECREATE, "CREATING_INSTANCE")])
def test_a_rolling_action_reaches_the_named_machines_alone_one_by_one(goal: Goal, way: str) -> None:
    world = settled(4, DeployPolicy(1, 0), pace=Pace())
    request(world, "m2", goal)
    request(world, "m4", goal)
    actions: list[Action] = []
    while not world.is_settled() or world.decide():
        actions += world.step(0.5)
        assert sum(status is Status.RUNNING_ACTUAL for status in statuses(world).values()) >= 3
    assert taken(actions) == ["m2", "m4"]
    assert way in path(actions, "m2")


def test_a_deleted_machine_is_replaced_unless_the_size_is_smaller() -> None:
    world = settled(3)
    request(world, "m2", Goal.REMOVE)
    assert world.settle()
    assert indices(world) == [1, 3, 4]
    request(world, "m1", Goal.REMOVE)
    change(world, size=2)
    assert world.settle()
    assert "m1" not in world.machines


def test_a_smaller_group_loses_the_failed_then_the_outdated_then_the_highest_index() -> None:
    opportunistic = DeployPolicy(0, 1, opportunistic=True)
    world = settled(5, opportunistic, has_checks=True, healing=Healing.NONE)
    change(world, template=TemplateHash(restart="new"))
    for member_id in ("m1", "m3", "m4", "m5"):
        world.records[member_id] = replace(world.records[member_id], template=TemplateHash(restart="new"))
        world.machines[member_id].template = TemplateHash(restart="new")
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
    assert created_machines(live(world)) == 1
    change(world, template=TemplateHash(recreate="new"))
    assert created_machines(live(world)) == 1
    assert Counter(member.zone for member in world.members()) == {"a": 1, "b": 1}


def test_machines_are_spread_again_after_a_zone_lost_more() -> None:
    world = settled(4, DeployPolicy(1, 0), zones=(Zone("a"), Zone("b")))
    request(world, "m2", Goal.REMOVE)
    request(world, "m4", Goal.REMOVE)
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
    change(world, template=TemplateHash(recreate="new"))
    assert world.settle()
    assert tags(world) == ["one", "three"]
    change(world, size=1)
    assert world.settle()
    assert tags(world) == ["one"]
    change(world, size=3)
    assert world.settle()
    assert tags(world) == ["one", "three", "two"]


def test_the_first_tag_is_kept_even_with_its_machine_down() -> None:
    zones = (Zone("a", ("one", "three", "two")),)
    world = settled(3, DeployPolicy(3, 0, max_deleting=1), zones=zones, healing=Healing.NONE, pace=Pace(stop=1))
    world.machines["m1"].compute = Compute.STOPPED
    change(world, size=1)
    live(world)
    assert tags(world) == ["one"]


def test_a_tag_that_leaves_the_pool_removes_its_machine() -> None:
    world = settled(2, DeployPolicy(1, 0), zones=(Zone("a", ("one", "two")),))
    change(world, zones=(Zone("a", ("two", "three")),))
    assert world.settle()
    assert tags(world) == ["three", "two"]


def test_an_edge_keeps_its_tag_and_index_through_healing_and_update() -> None:
    zones = (Zone("a", ("first", "second")),)
    world = settled(2, DeployPolicy(1, 0, minimal_action=Effect.RECREATE), zones=zones, healing=Healing.RECREATE)
    before = {(m.id, m.index, m.tag) for m in world.members()}
    world.machines["m1"].compute = Compute.CRASHED
    change(world, template=TemplateHash(restart="new"))
    assert world.settle()
    assert {(m.id, m.index, m.tag) for m in world.members()} == before
