"""The way through, as a user walks it: baked, rolled out, killed, grown, changed, destroyed, and nothing left.

One cloud and one environment for the whole module; each test leaves it healthy.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.http_load import get, http_load
from tests.support.leftovers import leftovers
from tests.support.run_in_machine import run_in_machine
from tests.support.tool import EDGES, TIMEOUT, Cli, rolled_out
from tests.support.wait import wait_until

AUTOSCALE = "{max_size: 2, cpu_utilization: 15, stabilization_duration: 60, warmup_duration: 0}"
BUSY = """
import time
began = time.monotonic()
while True:
    if time.process_time() > (time.monotonic() - began) / 2:
        time.sleep(0.05)
"""
"""Half of a core, a quarter of a machine."""
CUT_OFF = ("refused", "reset", "closed connection without response")
"""What a client is told of a connection whose other end died."""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with rolled_out(tmp_path_factory.mktemp("service"), EDGES) as tool:
        yield tool


@pytest.fixture
def address(cli: Cli) -> str:
    """Return where dev answers; every test starts from a healthy environment."""
    return cli.address("dev")


def _machines(status: Any) -> dict[str, Any]:
    return {machine["name"]: machine for machine in status["groups"][0]["machines"]}


def test_both_machines_answer_in_turn(cli: Cli, address: str) -> None:
    status = cli.json("status", "dev")
    assert {get(address) for _ in range(30)} == {"nginx-1", "nginx-2"}
    assert address.startswith(f"127.66.{cli.endpoint()['number']}.")
    group = status["groups"][0]
    assert (group["name"], group["size"], group["healthy"]) == ("nginx", 2, True)
    for machine in group["machines"]:
        assert machine["status"] == "RUNNING_ACTUAL"
        assert machine["balancer"] == "HEALTHY"
        assert machine["image"] == group["image"]
        assert Path(f"/proc/{machine['pid']}/comm").read_text() == "systemd\n"


def test_a_second_bake_and_rollout_have_nothing_to_do(cli: Cli, address: str) -> None:
    before = cli.instance_ids()
    assert cli.json("plan", "dev")["steps"] == []
    assert "nothing to do" in cli.run("plan", "dev").stdout
    assert "nothing to do" in cli.run("rollout", "dev", "--yes").stderr
    assert "nothing to do" in cli.run("bake", "--env", "dev").stderr
    assert cli.instance_ids() == before
    assert get(address)


def test_nginx_has_a_file_for_each_connection_that_the_host_gives_it(cli: Cli, address: str) -> None:
    assert address
    asked = "prlimit --pid $(cat /run/nginx.pid) --nofile --raw --noheadings --output SOFT,HARD"
    for machine in _machines(cli.status("dev")).values():
        soft, hard = run_in_machine(machine["pid"], "sh", "-euc", asked).split()
        assert soft == hard


@pytest.mark.parametrize("by", ["the local hand", "a signal to its init"])
def test_a_killed_machine_is_replaced_and_no_request_fails(cli: Cli, address: str, by: str) -> None:
    before, ids = _machines(cli.status("dev")), cli.instance_ids()
    with http_load(address, limit=120) as load:
        time.sleep(1)
        if by == "the local hand":
            cli.run("cloud", "kill", "dev-nginx-1")
        else:
            os.kill(before["dev-nginx-1"]["pid"], signal.SIGKILL)
        cli.wait_until_replaced("dev", "dev-nginx-1", before["dev-nginx-1"]["pid"])
        time.sleep(1)
    assert cli.pid("dev-nginx-2") == before["dev-nginx-2"]["pid"]
    now = cli.instance_ids()
    assert now["dev-nginx-1"] != ids["dev-nginx-1"]
    assert now["dev-nginx-2"] == ids["dev-nginx-2"]
    # When init is killed its children die first: who is connected is cut off, who comes is refused, until all are gone.
    cut_off = [answer for answer in load.failed if any(word in answer.error for word in CUT_OFF)]
    assert load.failed == cut_off
    assert len(cut_off) <= (0 if by == "the local hand" else 20)
    assert set(load.bodies) == {"nginx-1", "nginx-2"}


def test_a_change_replaces_machines_one_at_a_time(cli: Cli, address: str) -> None:
    """A setting, the machines' memory and their subnets, of which the old ones go, change at once."""
    before = set(cli.instance_ids().values())
    cli.edit("dev", "size: 2", "size: 2\n    settings: {worker_connections: 2048}")
    cli.edit("dev", "memory: 1G, disk: 5G}", "memory: 2G, disk: 5G}\n    public: true")
    changes = {change["name"]: change["action"] for change in cli.json("plan", "dev")["steps"]}
    assert changes["dev-nginx"] == "update"
    fewest = 2
    with http_load(address, limit=120) as load:
        rollout = cli.start("rollout", "dev", "--yes")
        while rollout.poll() is None:
            group = cli.status("dev")["groups"][0]
            fewest = min(fewest, sum(machine["balancer"] == "HEALTHY" for machine in group["machines"]))
            time.sleep(0.2)
        _, errors = rollout.communicate()
    assert rollout.returncode == 0, errors
    assert fewest == 2
    assert not before & set(cli.instance_ids().values())
    assert cli.json("plan", "dev")["steps"] == []
    assert load.failed == []


def test_a_machine_has_the_size_that_it_was_given(cli: Cli, address: str) -> None:
    assert address
    machine = next(iter(_machines(cli.status("dev")).values()))
    inside = ["nsenter", "-t", str(machine["pid"]), "-m", "-p", "-r", "--"]
    memory = subprocess.check_output([*inside, "grep", "MemTotal", "/proc/meminfo"], text=True).split()[1]
    assert int(memory) * 1024 == 2 << 30
    disk = subprocess.check_output([*inside, "df", "--output=size", "-B1", "/"], text=True).split()[1]
    assert 4 << 30 < int(disk) <= 5 << 30


def test_a_group_follows_the_load_of_its_machines(cli: Cli, address: str) -> None:
    """The API measures for a minute at least, and so long a group that changed keeps its size."""
    began = time.monotonic()
    cli.edit("dev", "size: 2", f"size: 2\n    autoscale: {AUTOSCALE}")
    with http_load(address, rate=5, limit=120) as load:
        cli.run("rollout", "dev", "--yes")
        (left,) = _machines(cli.status_when("dev", lambda status: status["healthy"] and len(_machines(status)) == 1))
        pid = cli.pid(left)
        run_in_machine(pid, "systemd-run", "--quiet", "--unit=busy", "python3", "-c", BUSY)
        grown = cli.status_when("dev", lambda status: status["healthy"] and len(_machines(status)) == 2)
        run_in_machine(pid, "sh", "-euc", "systemctl stop busy")
    print(f"two machines, one, two: {time.monotonic() - began:.0f} s, {load.summary('meanwhile')}")  # noqa: T201
    assert _machines(grown)[left]["pid"] == pid
    assert load.failed == []
    cli.edit("dev", f"size: 2\n    autoscale: {AUTOSCALE}", "size: 2")
    cli.run("rollout", "dev", "--yes")
    assert len(cli.instance_ids()) == 2


def test_daemon_killed_loses_nothing(cli: Cli, address: str) -> None:
    before = cli.instance_ids()
    with http_load(address, limit=120) as load:
        os.kill(cli.endpoint()["pid"], signal.SIGKILL)
        time.sleep(1)
        assert cli.json("status", "dev")["healthy"]
        time.sleep(1)
    assert cli.instance_ids() == before
    assert load.failed == []


def test_a_changed_size_adds_and_removes_one_machine_although_the_daemon_dies(cli: Cli, address: str) -> None:
    before = cli.instance_ids()
    with http_load(address, limit=120) as load:
        cli.edit("dev", "size: 2", "size: 3")
        (change,) = cli.json("plan", "dev")["steps"]
        assert (change["action"], change["name"]) == ("update", "dev-nginx")
        with cli.start("rollout", "dev", "--yes") as rollout:
            for pause in (0.9, 1.3):
                time.sleep(pause)
                os.kill(cli.endpoint()["pid"], signal.SIGKILL)
                cli.run("cloud", "up")
            rollout.communicate(timeout=TIMEOUT)
        cli.run("rollout", "dev", "--yes")
        three = cli.instance_ids()
        assert len(three) == 3
        assert before.items() < three.items()
        assert {get(address) for _ in range(60)} == {"nginx-1", "nginx-2", "nginx-3"}
        cli.edit("dev", "size: 3", "size: 2")
        cli.run("rollout", "dev", "--yes")
    assert len(cli.instance_ids()) == 2
    assert load.failed == []


def test_destroy_and_cloud_down_leave_nothing(cli: Cli, address: str) -> None:
    number = cli.endpoint()["number"]
    cli.run("destroy", "dev", "--yes")
    assert cli.json("cloud", "status")["machines"] == []
    # The API has no network any more; the kernel's is removed next.
    wait_until("no network is up", lambda: cli.host().status()["networks"] == [], timeout=TIMEOUT)
    with pytest.raises(OSError, match=r"refused|timed out"):
        get(address, timeout=2)
    cli.run("cloud", "down")
    assert leftovers(cli.home, f"samovar-{number}") == []
    assert not Path(f"/run/samovar/{number}").exists()
    routes = json.loads(subprocess.check_output(["ip", "-j", "route", "show", "table", "local"]))
    assert not [route for route in routes if str(route.get("dst")).startswith(f"127.66.{number}.")]
    assert cli.json("cloud", "status")["running"] is False


def test_cloud_down_and_cloud_up_bring_an_environment_back(cli: Cli) -> None:
    cli.run("rollout", "dev", "--yes")
    number = cli.endpoint()["number"]
    cli.run("cloud", "down")
    assert leftovers(cli.home, f"samovar-{number}") == []
    cli.run("cloud", "up")
    status = cli.status_when("dev", lambda status: status["healthy"])
    assert get(urlsplit(status["endpoints"]["http"][0]).netloc) in {"nginx-1", "nginx-2"}
    cli.run("destroy", "dev", "--yes")
    cli.run("cloud", "down")
    assert leftovers(cli.home, f"samovar-{number}") == []
