"""A cold bake against what cannot be had for less: mmdebstrap of the same packages, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from images.bakery.definition import load_images
from kit.mirrors import sources_for
from kit.paths import ROOT
from tests.bench.figure import Figure, timed

BAKE = """
from images.bakery.local import bake_local
from kit.output import PlainTalk
bake_local(["base", "nginx"], talk=PlainTalk())
"""


def cold_bake() -> Iterator[Figure]:
    """Both without a cache of their own, one after the other, so that the mirror is as warm for both."""
    folder = Path(tempfile.mkdtemp(prefix="samovar-bench-"))
    try:
        bare = sum(timed(partial(_mmdebstrap, folder / name, packages)) for name, packages in _package_sets().items())
        ours = timed(lambda: _bake(folder))
    finally:
        shutil.rmtree(folder)
    what = "cold bake of `base` and `nginx`, over bare `mmdebstrap` of the same packages"
    yield Figure(what, f"{ours / bare:.2f} ({ours:.1f} s over {bare:.1f} s)", "0.7")


def _bake(folder: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    subprocess.run([sys.executable, "-c", BAKE], check=True, capture_output=True, env=environment, cwd=ROOT)


def _mmdebstrap(target: Path, packages: tuple[str, ...]) -> None:
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--format=directory"]
    command += [f"--include={','.join(packages)}", "--aptopt=APT::Install-Recommends false"]
    subprocess.run([*command, "trixie", target, *sources_for("trixie")], check=True, capture_output=True)


def _package_sets() -> dict[str, tuple[str, ...]]:
    images = load_images(ROOT)
    base = tuple(images["base"].packages)
    return {"base": base, "nginx": (*base, *images["nginx"].packages)}
