"""No story breaks a promise: two faults at once, at any moment of a rollout that is killed, on simulated machines.

`python -m tests.bench.stories` tells thousands of others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from unittest.mock import patch

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from yandex.cloud.compute.v1.instance_pb2 import Instance

from samovar.localcloud.network.health_checks import Result, Target
from samovar.localcloud.simulated.simulated_fabric import SimulatedFabric
from samovar.project.fault import FaultKind
from tests.support.stories.live import Worlds, broken_promises, worlds
from tests.support.stories.promises import Watch, data_disks
from tests.support.stories.story import APP, CHANGES, DATA, EDGE, Story, fault, stories

pytestmark = pytest.mark.long
SEARCHED = 24


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    with worlds(tmp_path_factory.mktemp("stories")) as each:
        yield each


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@settings(max_examples=SEARCHED, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(stories)
def test_no_story_breaks_a_promise(copies: Worlds, story: Story) -> None:
    assert broken_promises(copies, story) == [], str(story)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("call", [2, 3])
def test_a_rollout_that_was_killed_at_any_call_is_finished_by_the_next(copies: Worlds, change: str, call: int) -> None:
    assert broken_promises(copies, Story(change, call, answered=call % 2 == 0)) == []


@pytest.mark.parametrize(
    "story",
    [
        Story(faults=(fault(FaultKind.UPDATE, DATA, 6), fault(FaultKind.CALLS, EDGE, 2, method="*/Get")), hold=15),
        Story(faults=(fault(FaultKind.CALLS, EDGE, method="*/Get"), fault(FaultKind.DAEMON, EDGE, 1))),
        Story(f"{APP} is renamed", faults=(fault(FaultKind.DRAIN, APP),), hold=30),
    ],
    ids=[
        "calls fail, so nothing else is put back before them",
        "the daemon is put back first",
        "what a rollout has deleted has nothing to put back",
    ],
)
def test_stories_that_broke_a_promise_in_the_past_break_none(copies: Worlds, story: Story) -> None:
    assert broken_promises(copies, story) == [], str(story)


def test_a_lock_that_is_never_released_is_a_broken_promise(copies: Worlds) -> None:
    with patch("samovar.deploy.lock._delete", lambda *_: None):
        (broken,) = broken_promises(copies, Story())
    assert "the next rollout failed: dev is locked by" in broken


def test_a_balancer_that_sends_to_a_sick_machine_breaks_a_promise(copies: Worlds) -> None:
    async def healthy(_: SimulatedFabric, target: Target) -> Result:
        return Result.connected(target.check)

    with patch.object(SimulatedFabric, "probe", healthy):
        broken = broken_promises(copies, Story(faults=(fault(FaultKind.FREEZE, APP),), hold=40))
    assert "which has not answered for" in " ".join(broken)


def test_a_data_disk_that_two_machines_have_breaks_a_promise(copies: Worlds) -> None:
    with copies.another() as world:
        disks = data_disks(world)
        watch = Watch(world, disks)
        (instance,) = (each for each in world.store.all(Instance) if each.secondary_disks)
        instance.id = f"{instance.id[:-1]}0"
        world.store.put(instance)
        watch.look()
    assert watch.broken == [f"the data disk {disk} is attached 2 times" for disk in disks]
