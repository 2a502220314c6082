"""The environment `dev` under way, under load, and losing a machine."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from yandex.cloud.compute.v1.instance_service_pb2 import ListInstancesRequest
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub

from samovar.localcloud.compute.instance_groups.teardown import SERVED
from tests.bench.figure import Figure, seconds, timed
from tests.bench.world import cloud, environment, killed_and_replaced
from tests.support.http_load import http_load
from tests.support.run_in_machine import in_machine
from tests.support.tool import EDGES, Cli
from tests.support.wait import wait_until

RUNS = 3
TICKS = os.sysconf("SC_CLK_TCK")
WRK = ["wrk", "--threads", "1", "--connections", "20", "--duration", "5s"]


def rollout() -> Iterator[Figure]:
    times = []
    with cloud() as tool:
        for _ in range(RUNS):
            times.append(timed(lambda: tool.run("rollout", "dev", "--yes")))
            tool.run("destroy", "dev", "--delete-data", "--confirm", "dev")
    yield Figure("rollout of `dev` (five machines), from nothing to healthy", seconds(times), "under 12 s")


def boot() -> Iterator[Figure]:
    """Measure a machine that boots alone: from the start of its init to the end, as systemd states it.

    It is an edge with nothing behind it, which has no cache to warm before it calls itself booted.
    """
    times = []
    with environment(EDGES) as tool:
        for _ in range(RUNS):
            killed_and_replaced(tool, "dev-nginx-1")
            times.append(_boot_time(tool.pid("dev-nginx-1")))
    yield Figure("a machine's boot, from its start to systemd `running`", seconds(times), "under 1.5 s")


def kill_recovery() -> Iterator[Figure]:
    """Kill a machine that has served: one that dies sooner is started again ever less often."""
    times, failed, worst, sent = [], 0, 0.0, 0
    with environment() as tool:
        where = tool.address("dev")
        for _ in range(RUNS):
            time.sleep(1.5 * SERVED)
            with http_load(where, limit=120) as load:
                time.sleep(1)
                times.append(killed_and_replaced(tool, "dev-bingo-1"))
                time.sleep(1)
            sent, failed = sent + len(load.answers), failed + len(load.failed)
            worst = max(worst, *(answer.seconds for answer in load.answers if not answer.error))
    yield Figure("a bingo machine killed: until all is whole", seconds(times), "under 10 s")
    yield Figure("failed requests of 50 a second meanwhile", f"{failed} of {sent}, slowest answer {worst:.2f} s", "0")


def throughput() -> Iterator[Figure]:
    """Measure over kept connections: new ones would run out of ports."""
    with cloud(EDGES) as tool:
        tool.edit("dev", "size: 2", "size: 1\n    public: true")
        tool.run("rollout", "dev", "--yes")
        machine = tool.status("dev")["groups"][0]["machines"][0]
        network = ["nsenter", f"--net=/run/netns/samovar-{tool.endpoint()['number']}-1"]
        nowhere: list[str] = []
        ways = ((nowhere, tool.address("dev")), (nowhere, _public_address(tool)), (network, machine["address"]))
        rates = [[_wrk(*way) for way in ways] for _ in range(RUNS)]
    through, direct, inside = map(max, zip(*rates, strict=True))
    what = "requests a second through the balancer, over the same server"
    yield Figure(f"{what} by its own public address", _ratio(through, direct), "0.9")
    yield Figure(f"{what} asked inside the network, where the way is shorter", _ratio(through, inside), "")


def _ratio(rate: float, over: float) -> str:
    return f"{rate / over:.2f} ({rate:.0f}/s over {over:.0f}/s)"


def _public_address(tool: Cli) -> str:
    request = ListInstancesRequest(folder_id=tool.endpoint()["folder_id"])
    (machine,) = tool.session().client(InstanceServiceStub).List(request).instances
    return str(machine.network_interfaces[0].primary_v4_address.one_to_one_nat.address)


def _wrk(prefix: list[str], where: str) -> float:
    command = [*prefix, *WRK, f"http://{where}/"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    actual = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert actual, output
    return float(actual[1])


def _boot_time(pid: int) -> float:
    began = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]) / TICKS
    show = in_machine(pid, "systemctl", "show", "-p", "FinishTimestampMonotonic", "--value")
    finished = wait_until("systemd has started", lambda: int(subprocess.check_output(show, text=True) or 0), timeout=60)
    return finished / 1e6 - began
