"""The clouds that are measured: homes of their own, taken down again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def healthy(tool: Cli) -> Any:
    return status_when(tool, lambda status: status["healthy"])


def status_when(tool: Cli, holds: Callable[[Any], bool]) -> Any:
    """The first status that holds. Asked for as often as can be, for seconds are counted until then."""
    return tool.status_when("dev", holds, ceiling=0.2)
