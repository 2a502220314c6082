"""The load of a group is measured several times a minute and changes its size; on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup, ManagedInstance

from samovar.localcloud.compute.instance_groups.autoscale_controller import GIVEN, INTERVAL, AutoscaleController
from samovar.localcloud.compute.instance_groups.model import LOG, target_size
from samovar.localcloud.store.store import Store

CORES = 4
START = 10_000.0


class World:
    """A group whose machines use the processors as the test says. Each new machine is there at once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = START
        self.busy: dict[str, float] = {}
        self.used: dict[str, float] = {}
        self.measured = True
        group = InstanceGroup(id="group", status=InstanceGroup.ACTIVE)
        group.allocation_policy.zones.add(zone_id="a")
        scale = group.scale_policy.auto_scale
        scale.min_zone_size, scale.max_size, scale.initial_size = 1, 6, 2
        scale.cpu_utilization_rule.utilization_target = 50
        scale.measurement_duration.seconds, scale.warmup_duration.seconds = 60, 30
        scale.stabilization_duration.seconds = 300
        store.put(group)
        self.restart()
        self.grow()

    def restart(self) -> None:
        self.controller = AutoscaleController(self.store, self.cpu_seconds, lambda: self.now)

    def cpu_seconds(self, machine_id: str) -> float | None:
        return self.used[machine_id] if self.measured else None

    @property
    def size(self) -> int:
        return target_size(self.store.must(InstanceGroup, "group"))

    def grow(self) -> None:
        """Make the members of the group as many as it shall have."""
        for number in range(1, 10):
            name = f"machine-{number}"
            if number > self.size:
                self.store.delete(ManagedInstance, name)
            elif self.store.get(ManagedInstance, name) is None:
                member = ManagedInstance(id=name, instance_id=name, status=ManagedInstance.RUNNING_ACTUAL, zone_id="a")
                member.status_changed_at.FromSeconds(int(self.now))
                self.store.put(member, scope="group")
                instance = Instance(id=name)
                instance.resources.cores = CORES
                self.store.put(instance)
                self.used[name] = 0.0

    async def live(self, seconds: float, load: float) -> None:
        """`load` is in machines' worth of processors, spread over all."""
        for _ in range(int(seconds / INTERVAL)):
            self.now += INTERVAL
            for name in self.used:
                self.used[name] += INTERVAL * CORES * min(load / self.size, 1.0)
            await self.controller.reconcile()
            self.grow()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = Store(tmp_path / "cloud.sqlite")
    yield World(store)
    store.close()


@pytest.mark.asyncio
async def test_a_group_follows_its_load_up_and_after_a_while_down(world: World) -> None:
    await world.live(55, load=2.0)
    assert world.size == 2
    await world.live(10, load=2.0)
    assert world.size == 4
    await world.live(290, load=0.5)
    assert world.size == 4
    await world.live(15, load=0.5)
    assert world.size == 1
    texts = [text for _, text in world.store.noted("group", LOG, [])]
    assert texts == [
        "100% of the processors in use, target 50%: 2 -> 4 machines",
        "12% of the processors in use, target 50%: 4 -> 1 machines",
    ]


@pytest.mark.asyncio
async def test_a_group_never_leaves_its_bounds(world: World) -> None:
    await world.live(600, load=50.0)
    assert world.size == 6
    await world.live(1000, load=0.0)
    assert world.size == 1


@pytest.mark.asyncio
async def test_a_new_daemon_measures_before_it_changes_a_size(world: World) -> None:
    await world.live(70, load=1.9)
    assert world.size == 4
    await world.live(120, load=1.9)
    world.restart()
    await world.live(55, load=0.0)
    assert world.size == 4
    await world.live(200, load=0.0)
    assert world.size == 1


@pytest.mark.asyncio
async def test_the_load_of_simulated_machines_is_given(world: World) -> None:
    world.measured = False
    world.store.note("group", GIVEN, 140.0)
    await world.live(70, load=0.0)
    assert world.size == 3
    world.store.note("group", GIVEN, 0.0)
    await world.live(400, load=0.0)
    assert world.size == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [InstanceGroup.PAUSED, InstanceGroup.STOPPED])
async def test_a_group_that_is_not_active_is_not_scaled(world: World, status: InstanceGroup.Status.ValueType) -> None:
    group = world.store.must(InstanceGroup, "group")
    group.status = status
    world.store.put(group)
    await world.live(300, load=2.0)
    assert world.size == 2
