"""A cold bake of all images against what cannot be had for less: mmdebstrap of the same packages, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from samovar.core.apt_mirrors import sources_for
from samovar.images.definition import lineage
from samovar.images.load import load_images
from tests.bench.figure import Figure, timed
from tests.support.checkout import PROJECT, ROOT

BAKE = """
from samovar.images.builders.local import bake_local
from samovar.core.output import PlainReporter
from tests.support.checkout import PROJECT
bake_local(PROJECT, [], reporter=PlainReporter())
"""
STEP = re.compile(r"(?P<image>\S+): (?P<name>.+?)(?: \.\.\.|: done in [\d.]+ s)")
APART = frozenset({"prepare_db", "checks"})
"""What bare mmdebstrap has no counterpart of, and is told apart."""


@dataclass(frozen=True)
class Step:
    """A step of one image's bake, in seconds from the beginning of all."""

    name: str
    began: float
    ended: float


def cold_bake() -> Iterator[Figure]:
    """Both without a cache of their own, one after the other, so that the mirror is as warm for both."""
    folder = Path(tempfile.mkdtemp(prefix="samovar-bench-"))
    try:
        sets = package_sets()
        bare = sum(timed(partial(_mmdebstrap, folder / str(n), packages)) for n, packages in enumerate(sets))
        began = time.monotonic()
        steps = _bake(folder)
        total = time.monotonic() - began
    finally:
        shutil.rmtree(folder)
    ours = total - covered(steps) + covered([step for step in steps if step.name not in APART])
    yield Figure(
        "cold bake of all images but for `prepare_db` and checks, over bare `mmdebstrap` of their package sets",
        f"{ours / bare:.2f} ({ours:.1f} s over {bare:.1f} s)",
        "0.5",
    )
    yield Figure("the same with `prepare_db` and checks", f"{total:.1f} s")
    yield Figure("its phases, in seconds over all images (some run side by side)", phases(steps))


def package_sets() -> Sequence[tuple[str, ...]]:
    """Return the packages of each image with those of its parents, each set once."""
    images = load_images(PROJECT)
    closures = ({package for image in lineage(name, images) for package in image.packages} for name in images)
    return sorted({tuple(sorted(packages)) for packages in closures})


def covered(steps: Sequence[Step]) -> float:
    """Return the seconds in which at least one of the steps ran."""
    total = end = 0.0
    for step in sorted(steps, key=lambda step: step.began):
        total += max(0.0, step.ended - max(end, step.began))
        end = max(end, step.ended)
    return total


def phases(steps: Sequence[Step]) -> str:
    """Return the seconds of each step, all images together, the longest first."""
    seconds: dict[str, float] = {}
    for step in steps:
        seconds[step.name] = seconds.get(step.name, 0.0) + step.ended - step.began
    longest = sorted(seconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {took:.1f}" for name, took in longest if took >= 1)


def _bake(folder: Path) -> list[Step]:
    """Bake everything into an empty cache; the steps as they were told."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    began, open_steps, steps = time.monotonic(), dict[str, float](), list[Step]()
    output = list[str]()
    process = subprocess.Popen(
        [sys.executable, "-c", BAKE],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    for line in process.stderr or ():
        output.append(line)
        if not (match := STEP.fullmatch(line.rstrip())):
            continue
        now, key = time.monotonic() - began, f"{match['image']}: {match['name']}"
        if line.rstrip().endswith(" ..."):
            open_steps[key] = now
        elif key in open_steps:
            steps.append(Step(match["name"], open_steps.pop(key), now))
    assert process.wait() == 0, "".join(output[-20:])
    return steps


def _mmdebstrap(target: Path, packages: tuple[str, ...]) -> None:
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--format=directory"]
    command += [f"--include={','.join(packages)}", "--aptopt=APT::Install-Recommends false"]
    subprocess.run([*command, "trixie", target, *sources_for("trixie")], check=True, capture_output=True)
    shutil.rmtree(target)
