"""The service that is measured: a cloud of its own with the production environment, or one that runs already."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.checkout import ENVIRONMENTS, ROOT
from tests.support.tool import Cli

LONGEST = 1800.0
"""Seconds that one command may take."""
SLO_VIOLATED = 11


@dataclass(frozen=True)
class World:
    """`runs` is how often each figure is taken, `rate` the load under which things are broken, in requests a second."""

    tool: Cli
    environment: str
    runs: int
    rate: float

    def ask(self, *arguments: str) -> Any:
        """Return the JSON of a command, also of a load that missed its bounds; stderr where it failed otherwise."""
        where = ["--home", str(self.tool.home), "--envs", str(self.tool.envs)]
        command = [str(ROOT / "cli.py"), *where, *arguments, "-o", "json"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
        if ended.returncode not in (0, SLO_VIOLATED):
            raise RuntimeError(f"{' '.join(arguments)}: {ended.returncode}\n{ended.stderr}")
        return json.loads(ended.stdout)

    def healthy_status(self) -> Any:
        """Return the status of the environment once it is healthy."""
        return self.tool.status_when(self.environment, lambda status: status["healthy"])

    def machines(self, group: str) -> list[Any]:
        return next(actual["machines"] for actual in self.healthy_status()["groups"] if actual["name"] == group)

    def address(self) -> str:
        return str(urlsplit(self.healthy_status()["endpoints"]["http"][0]).netloc)


@contextmanager
def production(runs: int, rate: float) -> Iterator[World]:
    """Rolled out in a cloud of its own, and taken down afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="samovar-bench-"))
    tool = Cli(folder / "home", ENVIRONMENTS)
    try:
        tool.run("cloud", "up")
        tool.run("bake", "--env", "prod")
        tool.run("rollout", "prod", "--yes")
        yield World(tool, "prod", runs, rate)
    finally:
        tool.run("cloud", "down", check=False)
        shutil.rmtree(folder)
