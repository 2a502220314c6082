"""Packer against the local builder: one image, the same scripts, in the same cloud, one after the other, by phase."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from samovar.cloud.local_daemon import find_or_start
from samovar.cloud.session import Session
from samovar.images.builders.local import bake_local
from samovar.images.builders.packer.builder import bake_packer
from tests.bench.figure import Figure, timed
from tests.support.checkout import PROJECT
from tests.support.tool import Cli

RUNS = 3
IMAGE = "samovar-edge"
UNAVOIDABLE = ("disk", "machine", "ssh", "stop", "delete machine", "image")
"""What baking on a machine takes, whoever drives it."""


class Stopwatch:
    """A reporter that keeps how long each step took, by its name without the image's."""

    def __init__(self) -> None:
        self.steps: dict[str, list[float]] = defaultdict(list)

    def info(self, message: str) -> None:
        """It is not measured."""

    def progress(self, message: str) -> None:
        """Nor is this."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.steps[name.removeprefix(f"{IMAGE}: ")].append(time.monotonic() - began)


def packer() -> Iterator[Figure]:
    """`samovar/edge` on a published `base`; the local builder has packages in its cache, the machine fetches them."""
    folder = Path(tempfile.mkdtemp(prefix="samovar-bench-"))
    tool = Cli(folder / "home", folder / "envs")
    try:
        tool.run("bake", "samovar-base")
        yield from _compared(Session(find_or_start(folder / "home").access))
    finally:
        tool.run("cloud", "down", check=False)
        shutil.rmtree(folder)


def _compared(session: Session) -> Iterator[Figure]:
    here, there = Stopwatch(), Stopwatch()
    bake_local(PROJECT, [IMAGE], reporter=Stopwatch(), force=True)  # its packages are in the cache from now on
    ours = [timed(lambda: bake_local(PROJECT, [IMAGE], reporter=here, force=True)) for _ in range(RUNS)]
    theirs = [timed(lambda: bake_packer(session, PROJECT, [IMAGE], reporter=there, force=True)) for _ in range(RUNS)]
    one, other = statistics.median(ours), statistics.median(theirs)
    what = f"bake of `{IMAGE}`: the local builder over Packer on the local cloud"
    yield Figure(what, f"{one / other:.2f} ({one:.1f} s over {other:.1f} s)", "a third")
    yield Figure("by phase: the local builder", _phases(here))
    yield Figure("by phase: Packer", _phases(there))
    added = other - sum(statistics.median(there.steps.get(name, [0.0])) for name in (*UNAVOIDABLE, *here.steps))
    yield Figure("Packer beside its unavoidable phases and the scripts themselves", f"{added:.1f} s")


def _phases(watch: Stopwatch) -> str:
    return ", ".join(f"{name} {statistics.median(times):.1f} s" for name, times in watch.steps.items())
