"""However the daemon ends, or stops: `cloud status` and `cloud down` tell the truth, and nothing stays on the host."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from samovar.cli import cloud as command
from samovar.cli.context import Tool
from samovar.cloud.connection import Access
from samovar.cloud.local_daemon import Daemon
from samovar.core import proc
from samovar.core.errors import ExitCode, HostError
from samovar.core.local_clouds import CLAIMS
from samovar.core.waiting import Pending, wait_for
from samovar.localcloud.api.pki import ensure_pki
from samovar.localcloud.home.numbers import NUMBERS
from samovar.localcloud.network import namespaces
from tests.support.checkout import ROOT
from tests.support.tool import Cli
from tests.support.wait import wait_until

DAY = 86_400
TIMEOUT = 60.0


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    tool = Cli(tmp_path / "home", tmp_path / "envs")
    tool.run("cloud", "up")
    yield tool
    tool.run("cloud", "down", check=False)


def _on_host(cli: Cli, number: int) -> list[str]:
    """Return what the host has of a number. A cloud beside may have it, once it was freed: that counts for nothing."""
    holder = _claimed_by(number)
    if holder and str(cli.home) not in holder:
        return []
    links = [name for _, name in socket.if_nameindex() if name.startswith(f"smv{number}h")]
    claims = [str(CLAIMS / str(number))] if holder else []
    return [*namespaces.existing(f"samovar-{number}-"), *links, *claims]


def _claimed_by(number: int) -> str:
    try:
        return (CLAIMS / str(number)).read_text()
    except FileNotFoundError:
        return ""


def _make_network(cli: Cli) -> int:
    """A network that stands on the host; returns the cloud's number."""
    _create_network(cli)
    number = cli.endpoint()["number"]
    wait_for("network", lambda: len(_on_host(cli, number)) == 3 or Pending("not on the host"), timeout=20)
    return int(number)


def _create_network(cli: Cli) -> float:
    """Return the date of its creation, in seconds since 1970."""
    session = cli.session()
    created = session.client(NetworkServiceStub).Create(CreateNetworkRequest(folder_id=session.folder_id))
    session.finish(created, what="network")
    return Network.FromString(created.response.value).created_at.ToNanoseconds() / 1e9


def _end(cli: Cli, how: signal.Signals) -> None:
    pid = cli.endpoint()["pid"]
    os.kill(pid, how)
    cmdline = Path(f"/proc/{pid}/cmdline")
    wait_for("the end", lambda: not cmdline.exists() or not cmdline.read_bytes() or Pending("runs"), timeout=20)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_down_removes_the_leftovers_of_a_daemon(cli: Cli, how: signal.Signals) -> None:
    number = _make_network(cli)
    _end(cli, how)
    status = cli.json("cloud", "status")
    assert not status["running"]
    assert "the daemon does not run, 0 machines run" in status["warnings"][0]
    assert len(_on_host(cli, number)) == 3
    done = cli.run("cloud", "down")
    assert "no local cloud runs" not in done.stderr
    assert _on_host(cli, number) == []
    again = cli.run("cloud", "down")
    assert "no local cloud runs" in again.stderr
    assert cli.json("cloud", "status")["warnings"] == []


@pytest.fixture
def last(tmp_path: Path) -> Iterator[Cli]:
    """A cloud whose number no other one takes while it is free: they take the lowest."""
    tool = Cli(tmp_path / "home", tmp_path / "envs")
    tool.home.mkdir(mode=0o700)
    (tool.home / "number").write_text(str(NUMBERS[-1]))
    tool.run("cloud", "up")
    assert tool.endpoint()["number"] == NUMBERS[-1]
    yield tool
    tool.run("cloud", "down", check=False)


def test_a_daemon_whose_home_was_removed_ends_and_down_removes_its_leftovers(last: Cli) -> None:
    """It would take the machines of the cloud that has its number now for unknown ones, and end them."""
    number, pid = _make_network(last), last.endpoint()["pid"]
    shutil.rmtree(last.home)
    wait_for("the end", lambda: not proc.state(pid) or Pending("runs"), timeout=TIMEOUT)
    assert "the daemon does not run, 0 machines run" in last.json("cloud", "status")["warnings"][0]
    assert len(_on_host(last, number)) == 3
    assert "no local cloud runs" not in last.run("cloud", "down").stderr
    assert _on_host(last, number) == []


def test_after_a_reboot_there_is_nothing_to_remove(cli: Cli) -> None:
    """/run is empty after a reboot, and the endpoint file of the last daemon is still there."""
    number = cli.endpoint()["number"]
    _end(cli, signal.SIGKILL)
    (CLAIMS / str(number)).unlink()
    assert (cli.home / "endpoint.json").exists()
    assert cli.json("cloud", "status") == {
        "running": False,
        "pid": None,
        "warnings": [],
        "machines": [],
        "networks": [],
    }
    assert "no local cloud runs" in cli.run("cloud", "down").stderr


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """The file by which the clock of a daemon is a day ahead."""
    file = tmp_path / "clock"
    file.write_text(str(DAY))
    return file


@pytest.fixture
def ahead(tmp_path: Path, clock: Path) -> Iterator[Cli]:
    """A cloud whose daemon goes by that clock; all other processes go by the host's."""
    tool = Cli(tmp_path / "home", tmp_path / "envs")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "tests.support.wall_clock",
        clock,
        "samovar.localcloud",
        "--home",
        tool.home,
    ]
    with subprocess.Popen(command, cwd=ROOT):
        wait_until("the daemon", lambda: tool.json("cloud", "status")["running"], timeout=TIMEOUT)
        yield tool
        tool.run("cloud", "down", check=False)


@pytest.mark.parametrize("killed", [False, True])
def test_after_a_clock_was_set_back_by_a_day_status_and_down_are_right(
    ahead: Cli,
    clock: Path,
    killed: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    number = _make_network(ahead)
    assert _create_network(ahead) > time.time() + DAY / 2
    clock.write_text("0")
    assert _create_network(ahead) < time.time() + DAY / 2
    wait_until("the networks", lambda: len(ahead.json("cloud", "status")["networks"]) == 3, timeout=TIMEOUT)
    assert len(_on_host(ahead, number)) == 7
    if killed:
        _end(ahead, signal.SIGKILL)
    status = ahead.json("cloud", "status")
    assert status["running"] is not killed
    assert ["the daemon does not run" in warning for warning in status["warnings"]] == [True] * killed
    assert "no local cloud runs" not in ahead.run("cloud", "down").stderr
    assert _on_host(ahead, number) == []
    assert not ahead.json("cloud", "status")["running"]


@pytest.mark.parametrize("asked", [("cloud", "status"), ("cloud", "down"), ("cloud", "up")])
def test_a_daemon_that_is_stopped_is_named_with_its_remedy(cli: Cli, asked: tuple[str, ...]) -> None:
    pid = cli.endpoint()["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        refused = cli.run(*asked, check=False)
        assert time.monotonic() - began < 10
    finally:
        os.kill(pid, signal.SIGCONT)
    assert refused.code == ExitCode.HOST
    assert f"(pid {pid}) is stopped" in refused.stderr
    assert f"kill -CONT {pid}" in refused.stderr
    assert cli.json("cloud", "status")["running"]


def test_a_daemon_that_hangs_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ANSWER_TIMEOUT", 0.3)
    pki = ensure_pki(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        access = Access(endpoint="127.0.0.1:1", folder_id="f", ca=pki.ca, token="t")
        daemon = Daemon(4711, 1, "127.0.0.1:1", f"127.0.0.1:{mute.getsockname()[1]}", access)
        with pytest.raises(HostError, match=r"\(pid 4711\) runs and does not answer") as hangs:
            command._running(Tool(tmp_path), daemon)
    assert "kill -KILL 4711" in hangs.value.remedy
