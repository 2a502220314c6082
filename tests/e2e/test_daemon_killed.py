"""The daemon is killed at random moments while real machines come, are replaced and are taken down; all ends whole.

tests/component/localcloud/test_daemon_killed.py has many more moments, on a simulated host.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.core.errors import ExitCode
from samovar.core.process import run
from samovar.core.waiting import Pending, wait_for
from tests.support.checkout import ROOT
from tests.support.leftovers import leftovers
from tests.support.seeds import new_seeds
from tests.support.tool import EDGES, TIMEOUT, Cli

SEEDS = new_seeds(1)
"""It stands in the tests' names; put that of a test that failed here to see the same again."""
LIVES = (0.3, 4.0)
"""How long a daemon lives, by the time that the tool takes to find it there: a rollout takes ten times that."""


@pytest.fixture(scope="module", params=SEEDS)
def chance(request: pytest.FixtureRequest) -> random.Random:
    return random.Random(request.param)  # noqa: S311 - a sequence that can be repeated, not a secret


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    folder = tmp_path_factory.mktemp("survival")
    tool = Cli(folder / "home", folder / "envs")
    tool.write("dev", EDGES.read_text())
    try:
        tool.run("bake", "--env", "dev")
        yield tool
    finally:
        tool.discard()


def _kill_daemon(cli: Cli) -> None:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(cli.endpoint()["pid"], signal.SIGKILL)


def _started(cli: Cli, *arguments: str) -> subprocess.Popen[bytes]:
    command = [str(ROOT / "cli.py"), "--home", str(cli.home), "--envs", str(cli.envs), *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _pace(cli: Cli) -> float:
    began = time.monotonic()
    cli.run("cloud", "up")
    return time.monotonic() - began


def _under_fire(cli: Cli, chance: random.Random, *arguments: str, deaths: int = 4) -> None:
    """Run a command while daemons die; what did not live through it is run again."""
    pace = _pace(cli)
    with _started(cli, *arguments) as running:
        for _ in range(deaths):
            time.sleep(pace * chance.uniform(*LIVES))
            _kill_daemon(cli)
            cli.run("cloud", "up")
        running.wait(TIMEOUT)
    cli.run(*arguments)


def _operations(cli: Cli) -> list[Operation]:
    with closing(sqlite3.connect(cli.home / "cloud.sqlite")) as database:
        rows = database.execute("SELECT data FROM resource WHERE kind = ?", (Operation.DESCRIPTOR.full_name,))
        return [Operation.FromString(data) for (data,) in rows]


def _stems(folder: Path) -> set[str]:
    return {file.stem for file in folder.iterdir()}


def _rows(cli: Cli, kind: str) -> set[str]:
    with closing(sqlite3.connect(cli.home / "cloud.sqlite")) as database:
        return {row[0] for row in database.execute("SELECT id FROM resource WHERE kind = ?", (f"yandex.cloud.{kind}",))}


def _loops(cli: Cli) -> list[str]:
    """The files below this cloud's loop devices."""
    files = [file.read_text().strip() for file in Path("/sys/block").glob("loop*/loop/backing_file")]
    return sorted(Path(name).stem for name in files if name.startswith(str(cli.home)))


def _assert_complete(cli: Cli, size: int) -> None:
    """Assert that there are `size` machines with one of everything, and nothing else on the host or in the home."""
    status: Any = cli.status_when("dev", lambda status: status["healthy"])
    (group,) = status["groups"]
    assert [machine["status"] for machine in group["machines"]] == ["RUNNING_ACTUAL"] * size
    assert [machine["balancer"] for machine in group["machines"]] == ["HEALTHY"] * size
    ids = {*cli.instance_ids().values()}
    prefix = f"samovar-{cli.endpoint()['number']}-"
    namespaces = {path.name.removeprefix(prefix) for path in Path("/run/netns").glob(f"{prefix}*")}
    disks = _rows(cli, "compute.v1.Disk")
    assert len(ids) == len(disks) == size
    assert _rows(cli, "compute.v1.Instance") == ids
    assert _stems(cli.home / "machines") == ids
    assert {name for name in namespaces if not name.isdigit()} == ids
    assert sum(name.isdigit() for name in namespaces) == 1
    assert _stems(cli.home / "disks") == disks
    assert len(_stems(cli.home / "images") & _rows(cli, "compute.v1.Image")) == len(_stems(cli.home / "images")) == 1
    assert set(_loops(cli)) - _stems(cli.home / "images") == disks
    assert len(_loops(cli)) == size + 1
    unfinished = [operation.description for operation in _operations(cli) if not operation.done]
    assert unfinished == []
    assert all(operation.error.message for operation in _operations(cli) if operation.HasField("error"))


def test_daemon_killed_during_the_first_rollout(cli: Cli, chance: random.Random) -> None:
    _under_fire(cli, chance, "rollout", "dev", "--yes")
    _assert_complete(cli, 2)


def test_daemon_killed_during_a_rolling_update(cli: Cli, chance: random.Random) -> None:
    before = _rows(cli, "compute.v1.Instance")
    cli.edit("dev", "size: 2", "size: 3\n    settings: {worker_connections: 2048}")
    _under_fire(cli, chance, "rollout", "dev", "--yes")
    _assert_complete(cli, 3)
    assert not before & _rows(cli, "compute.v1.Instance")


def test_daemon_killed_during_cloud_down_comes_back_as_after_a_reboot(cli: Cli, chance: random.Random) -> None:
    before = _rows(cli, "compute.v1.Instance")
    pid, pace = cli.endpoint()["pid"], _pace(cli)
    with _started(cli, "cloud", "down") as running:
        time.sleep(pace * chance.uniform(0.7, 2.5))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        running.wait(TIMEOUT)
    cli.run("cloud", "up")
    _assert_complete(cli, 3)
    assert _rows(cli, "compute.v1.Instance") == before


@pytest.mark.usefixtures("chance")  # or pytest puts it after those that are bound to it
def test_machines_of_a_daemon_that_got_sigterm_are_shown_and_removed(cli: Cli) -> None:
    pid, number = cli.endpoint()["pid"], cli.endpoint()["number"]
    before = {machine["id"]: machine["name"] for machine in cli.json("cloud", "status")["machines"]}
    os.kill(pid, signal.SIGTERM)
    wait_for("the end", lambda: not (cli.home / "endpoint.json").exists() or Pending("serves"), timeout=TIMEOUT)
    left = cli.json("cloud", "status")
    assert {machine["id"]: machine["name"] for machine in left["machines"]} == before
    assert all(Path(f"/proc/{machine['pid']}").exists() for machine in left["machines"])
    assert "the daemon does not run, 3 machines run" in left["warnings"][0]
    cli.run("cloud", "down")
    assert leftovers(cli.home, f"samovar-{number}") == []
    cli.run("cloud", "up")
    assert cli.endpoint()["number"] == number
    _assert_complete(cli, 3)
    assert _rows(cli, "compute.v1.Instance") == before.keys()


@pytest.mark.usefixtures("chance")
def test_an_address_that_is_not_routed_to_this_cloud_is_unhealthy(cli: Cli) -> None:
    """Machines and balancer are well, and the host's route is another's."""
    address = cli.address("dev")
    route = run(["ip", "route", "show", "table", "local", address]).stdout.split()
    run(["ip", "route", "replace", "table", "local", "local", address, "dev", "lo"])
    try:
        refused = cli.run("status", "dev", "--exit-code", "-o", "json", check=False)
    finally:
        run(["ip", "route", "replace", "table", "local", *route])
    assert refused.code == ExitCode.UNHEALTHY
    (endpoint,) = json.loads(refused.stdout)["unanswered"]
    assert endpoint["url"] == f"http://{address}/"
    assert "is not routed to this cloud" in endpoint["reason"]
    assert cli.json("status", "dev")["healthy"]


def test_daemon_killed_during_destroy_leaves_nothing(cli: Cli, chance: random.Random) -> None:
    number = cli.endpoint()["number"]
    _under_fire(cli, chance, "destroy", "dev", "--yes", deaths=3)
    assert _rows(cli, "compute.v1.Instance") == _rows(cli, "compute.v1.Disk") == set()
    assert [operation.description for operation in _operations(cli) if not operation.done] == []
    cli.run("cloud", "down")
    assert leftovers(cli.home, f"samovar-{number}") == []
