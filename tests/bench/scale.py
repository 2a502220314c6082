"""Many small machines on one host: groups of the base image with a role that does nothing.

SCALE_MACHINES sets how many; the aim is for 200 on two cores with 23 GB that do nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from samovar.core.kernel import shortages
from samovar.localcloud.machines import cgroups
from samovar.localcloud.machines.supervisors import supervisor_of_this_host
from tests.bench.figure import Figure
from tests.support.checkout import ROOT
from tests.support.tool import Cli

MACHINES = int(os.environ.get("SCALE_MACHINES", "200"))
PERIOD = 5.0
IDLE = 30.0
SETTLES = 20.0
"""Seconds that the last machines get to finish their boot before idleness is measured."""
LARGEST = 100
"""Machines that a group has at most."""
GROUP = """\
  small-{number}:
    image: small
    size: {size}
    machine: {{cores: 2, core_fraction: 20, memory: 1G, disk: 10G}}
    health: {{type: tcp, port: 22, interval: 10}}
"""
SIZES = (*(LARGEST for _ in range(MACHINES // LARGEST)), MACHINES % LARGEST)
GROUPS = "".join(GROUP.format(number=number, size=size) for number, size in enumerate(SIZES, 1) if size)
FILES = {
    "samovar.yaml": "",
    "images/small/image.yaml": "description: the base image and nothing more\nparent: samovar/base\n",
    "images/small/role.yaml": "defaults: {}\n",
    "envs/fleet/config.yaml": f"""\
cloud: local
zones: [ru-central1-a]
network: {{cidr: 10.40.0.0/16}}
groups:
{GROUPS}""",
}


def scale() -> Iterator[Figure]:
    """Measure the time until all run, how many were made twice, and what they take while nothing happens."""
    with _fleet() as tool:
        free, began = _available(), time.monotonic()
        ids, warnings = _roll_out(tool)
        seconds = time.monotonic() - began
        machines = tool.json("cloud", "status")["machines"]
        running = sum(machine["status"] == "RUNNING" for machine in machines)
        yield Figure(f"{MACHINES} small machines: seconds until all are RUNNING", f"{seconds:.0f}", "under 600")
        yield Figure("of them RUNNING then", f"{running}", f"{MACHINES}")
        yield Figure("machines made anew meanwhile", f"{len(ids) - len(machines)}", "0")
        time.sleep(SETTLES)
        yield Figure("memory of a machine, the kernel's included", f"{(free - _available()) / running / 1024:.0f} MiB")
        yield from _idle(tool)
        yield Figure("first limit met", next(iter((*warnings, *shortages(MACHINES))), "none"), "none")


def _roll_out(tool: Cli) -> tuple[set[str], list[str]]:
    """Return the ids of all machines that there were meanwhile, and what the cloud warned of."""
    ids: set[str] = set()
    warnings: list[str] = []
    command = tool.command("rollout", "fleet", "--yes")
    rollout = subprocess.Popen(command, cwd=tool.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while rollout.poll() is None:
        try:
            rollout.wait(PERIOD)
        except subprocess.TimeoutExpired:
            status = tool.json("cloud", "status")
            ids |= {machine["id"] for machine in status["machines"]}
            warnings += status["warnings"]
    return ids | {machine["id"] for machine in tool.json("cloud", "status")["machines"]}, warnings


def _idle(tool: Cli) -> Iterator[Figure]:
    endpoint: Any = tool.endpoint()
    group = supervisor_of_this_host(f"samovar-{endpoint['number']}").unit("any").parent
    before = cgroups.cpu_seconds(group), _processor_seconds(endpoint["pid"])
    time.sleep(IDLE)
    machines, daemon = cgroups.cpu_seconds(group) - before[0], _processor_seconds(endpoint["pid"]) - before[1]
    yield Figure("cores used by all machines while idle", f"{machines / IDLE:.2f}", "under 1, with the daemon")
    yield Figure("cores used by the daemon while idle", f"{daemon / IDLE:.2f}")


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _available() -> int:
    """Return the memory, in KiB, that new programs could have."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))


@contextmanager
def _fleet() -> Iterator[Cli]:
    folder = Path(tempfile.mkdtemp(prefix="samovar-bench-"))
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    tool = Cli(folder / "home", folder / "envs", root=folder, program=str(ROOT / "cli.py"))
    try:
        tool.run("cloud", "up")
        tool.run("bake", "--env", "fleet")
        yield tool
    finally:
        tool.run("cloud", "down", check=False)
        shutil.rmtree(folder)
