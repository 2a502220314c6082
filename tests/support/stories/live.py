"""Lives through a story in a world of its own, which begins as a copy of one that was rolled out."""

from __future__ import annotations

import os
import shutil
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from unittest.mock import patch

from samovar.core.errors import SamovarError
from samovar.deploy.lock import FREE_AFTER, Held
from samovar.deploy.read_status import read_status
from samovar.deploy.rollout import image_names, load_desired
from samovar.drills.actions import ACTIONS, Action, restore_all
from samovar.drills.faults import fault_of
from samovar.drills.journal import Breakage, Journal
from samovar.load.client import Target
from samovar.localcloud.home.home import Home
from samovar.project.drill import Drill
from samovar.project.environment import Environment
from samovar.project.fault import FaultKind
from tests.support.checkout import environment as load_environment
from tests.support.stories.in_process_session import Killed, Life
from tests.support.stories.promises import Watch, broken_at_the_end, data_disks, machine_ids
from tests.support.stories.simulated_time import START, SimulatedTime
from tests.support.stories.story import CHANGES, Story
from tests.support.stories.world import World, quick_rollouts

NOWHERE = Target("http://127.66.1.1")
LATER = 3600.0
"""Seconds between the rollout of the world that is copied, and the stories."""
CALM = 40.0
"""Simulated seconds after the last fault in which groups may heal by themselves before the next rollout."""


@contextmanager
def worlds(folder: Path) -> Iterator[Worlds]:
    """Yield worlds in that folder."""
    with quick_rollouts():
        yield Worlds(folder)


class Worlds:
    """Copies of one world in which `dev` is rolled out."""

    def __init__(self, folder: Path) -> None:
        self.environment = load_environment("dev")
        self._folder = folder
        self._origin = Home(folder / "origin")
        self._number = 0
        self._changed: dict[str, Environment] = {}
        time = SimulatedTime()
        with time.ruling():
            world = World(self._origin, time)
            world.publish_images(image_names(load_desired(self.environment)))
            world.roll_out(self.environment)
            world.kill_daemon()
        time.close()

    def changed(self, change: str) -> Environment:
        """Return the environment with that change: always the same object."""
        if change not in self._changed:
            self._changed[change] = CHANGES[change].of(self.environment)
        return self._changed[change]

    @contextmanager
    def another(self) -> Iterator[World]:
        """Yield a world of its own, which is gone afterwards. Its new ids are none of the origin's."""
        self._number += 1
        home = Home(self._folder / f"story-{self._number}")
        shutil.copytree(self._origin.root, home.root, copy_function=_copy)
        time = SimulatedTime(START + LATER)
        try:
            with time.ruling(seed=1):
                world = World(home, time)
                yield world
                world.kill_daemon()
        finally:
            time.close()
            shutil.rmtree(home.root)


def _copy(source: str, target: str) -> None:
    """Copy a file; one of a simulated disk is copied by its size alone, for nothing else of it means anything."""
    if source.endswith(".raw"):
        Path(target).touch()
        os.truncate(target, Path(source).stat().st_size)
    else:
        shutil.copy2(source, target)


def broken_promises(copies: Worlds, story: Story) -> list[str]:
    """Return the promises that the story breaks, in words; an error that nobody foresaw breaks one as well."""
    with copies.another() as world:
        try:
            return _Telling(world, copies.environment, copies.changed(story.change), story).broken()
        except Exception:  # noqa: BLE001 - it is reported, with its story
            return [traceback.format_exc()]


class _Telling:
    def __init__(self, world: World, before: Environment, after: Environment, story: Story) -> None:
        self._world = world
        self._before = before
        self._after = after
        self._story = story
        self._journal = Journal(world.folder_id, before.name, world.home.root)
        self._watch = Watch(world, data_disks(world))
        world.time.on_tick = self._watch.look

    def broken(self) -> list[str]:
        machines = machine_ids(self._world)
        with patch.dict(ACTIONS, {FaultKind.DAEMON: Action(self._kill_daemon, self._start_daemon)}):
            self._schedule()
            with suppress(Killed, SamovarError):
                self._world.roll_out(self._after, Life(self._story.dies_at, answered=self._story.answered))
            self._world.time.sleep(max(0.0, self._story.hold + CALM - self._world.time.loop.time()))
        try:
            self._next_rollout()
        except SamovarError as error:
            return [*self._watch.broken, f"the next rollout failed: {error.message}"]
        now = machine_ids(self._world)
        renewed = [name for name in now if name not in self._story.touched and now[name] != machines[name]]
        unexpected = [f"machines of {name} were made anew, which nothing was about" for name in renewed]
        return [*self._watch.broken, *unexpected, *broken_at_the_end(self._world, self._after)]

    def _next_rollout(self) -> None:
        """Roll out as an operator does, who waits while the lock of one that died is held."""
        ends = self._world.time.loop.time() + 2 * FREE_AFTER
        while True:
            try:
                return self._world.roll_out(self._after)
            except Held:
                if self._world.time.loop.time() > ends:
                    raise
                self._world.time.sleep(5)

    def _schedule(self) -> None:
        """Let the faults strike as a drill does, which looks up beforehand what it will break, and keeps a journal."""
        if not self._story.faults:
            return
        first, *also = self._story.faults
        drill = Drill.model_validate({**first.model_dump(exclude={"after"}), "also": also})
        session = self._world.session()
        broken = fault_of(drill, session, self._before, read_status(session, self._before), NOWHERE).breakages
        self._journal.write(broken)
        for breakage, cause in zip(broken, self._story.faults, strict=True):
            self._world.time.at(cause.after, partial(self._cause, breakage))
        self._world.time.at(self._story.hold, self._restore)

    def _cause(self, breakage: Breakage) -> None:
        """A machine may have gone meanwhile: then there is nothing to break."""
        with suppress(SamovarError):
            ACTIONS[breakage.fault].cause(self._world.session(), breakage)

    def _restore(self) -> None:
        try:
            restore_all(self._world.session(), self._journal)
        except SamovarError as error:
            self._watch.broken.append(f"what was broken cannot be put back: {error.message}")

    def _kill_daemon(self, *_: object) -> None:
        self._world.kill_daemon()

    def _start_daemon(self, *_: object) -> None:
        self._world.start_daemon()
