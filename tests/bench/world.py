"""The clouds that are measured: homes of their own, taken down again."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.checkout import ENVIRONMENTS
from tests.support.tool import Cli

DEV_CONFIG = ENVIRONMENTS / "dev/config.yaml"


@contextmanager
def cloud(config: Path = DEV_CONFIG) -> Iterator[Cli]:
    """Yield a cloud that runs, with the images of `dev` (that file), and nothing rolled out."""
    folder = Path(tempfile.mkdtemp(prefix="samovar-bench-"))
    tool = Cli(folder / "home", folder / "envs")
    tool.write("dev", config.read_text())
    try:
        tool.run("cloud", "up")
        tool.run("bake", "--env", "dev")
        yield tool
    finally:
        tool.run("cloud", "down", check=False)
        shutil.rmtree(folder)


@contextmanager
def environment(config: Path = DEV_CONFIG) -> Iterator[Cli]:
    """Yield the same with `dev` rolled out and healthy."""
    with cloud(config) as tool:
        tool.run("rollout", "dev", "--yes")
        yield tool


def killed_and_replaced(tool: Cli, machine: str) -> float:
    """Kill a machine of `dev`; return the seconds until all is healthy again, looked at as often as can be."""
    old, began = tool.pid(machine), time.monotonic()
    tool.run("cloud", "kill", machine)
    tool.wait_until_replaced("dev", machine, old, ceiling=0.2)
    return time.monotonic() - began
