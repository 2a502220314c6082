"""Commands that an operator waits for, and the daemon behind them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.figure import Figure, seconds, timed
from tests.bench.world import cloud, environment
from tests.support.checkout import ENVIRONMENTS, ROOT

RUNS = 5
SMALL = "image: postgres-small\n"


def help_time() -> Iterator[Figure]:
    times = [
        timed(lambda: subprocess.run([ROOT / "cli.py", "--help"], check=True, capture_output=True)) for _ in range(RUNS)
    ]
    yield Figure("`./cli.py --help`", seconds(times), "under 0.2 s")


def idle_plan() -> Iterator[Figure]:
    with environment() as tool:
        times = [timed(lambda: tool.run("plan", "dev")) for _ in range(RUNS)]
    yield Figure("`plan` with nothing to do", seconds(times), "under 1 s")


def idle_bake() -> Iterator[Figure]:
    with cloud() as tool:
        times = [timed(lambda: tool.run("bake", "--env", "dev")) for _ in range(RUNS)]
    yield Figure("`bake` with nothing to do", seconds(times), "under 1 s")


def daemon_start() -> Iterator[Figure]:
    times = []
    with cloud() as tool:
        for _ in range(RUNS):
            tool.run("cloud", "down")
            times.append(timed(lambda: tool.run("cloud", "up")))
    yield Figure("start of the local cloud's daemon", seconds(times), "under 1 s")


def daemon_memory() -> Iterator[Figure]:
    with environment() as tool:
        tool.write("prod", (ENVIRONMENTS / "prod/config.yaml").read_text().replace("image: postgres\n", SMALL))
        tool.run("rollout", "prod", "--yes")
        time.sleep(10)
        pid = tool.endpoint()["pid"]
        began = _cpu(pid)
        time.sleep(10)
        share = (_cpu(pid) - began) / 10
        smaps = Path(f"/proc/{pid}/smaps_rollup").read_text().split()
    yield Figure(
        "memory of the daemon (PSS) with two environments", f"{int(smaps[smaps.index('Pss:') + 1]) / 1024:.0f} MiB"
    )
    yield Figure("processor time of the idle daemon with two environments", f"{share:.1%} of one core")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
