"""However the daemon ends, or stops: `cloud status` and `cloud down` tell the truth, and nothing stays on the host."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from samovar.cli import cloud as command
from samovar.cli.context import Tool
from samovar.cloud.connection import Access
from samovar.cloud.local_daemon import Daemon
from samovar.core.errors import ExitCode, HostError
from samovar.core.waiting import Pending, wait_for
from samovar.localcloud.api.pki import ensure_pki
from samovar.localcloud.home.numbers import CLAIMS
from samovar.localcloud.network import namespaces
from tests.support.tool import Cli


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    tool = Cli(tmp_path / "home", tmp_path / "envs")
    tool.run("cloud", "up")
    yield tool
    tool.run("cloud", "down", check=False)


def _on_host(number: int) -> list[str]:
    links = [name for _, name in socket.if_nameindex() if name.startswith(f"smv{number}h")]
    claims = [file.name for file in CLAIMS.glob(str(number))]
    return [*namespaces.existing(f"samovar-{number}-"), *links, *claims]


def _make_network(cli: Cli) -> int:
    """A network that stands on the host; returns the cloud's number."""
    session, number = cli.session(), cli.endpoint()["number"]
    request = CreateNetworkRequest(folder_id=session.folder_id)
    session.finish(session.client(NetworkServiceStub).Create(request), what="network")
    wait_for("network", lambda: len(_on_host(number)) == 3 or Pending("not on the host"), timeout=20)
    return int(number)


def _end(cli: Cli, how: signal.Signals) -> None:
    pid = cli.endpoint()["pid"]
    os.kill(pid, how)
    gone = Path(f"/proc/{pid}/cmdline")
    wait_for("the end", lambda: not gone.exists() or not gone.read_bytes() or Pending("runs"), timeout=20)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_down_takes_off_what_a_daemon_left(cli: Cli, how: signal.Signals) -> None:
    number = _make_network(cli)
    _end(cli, how)
    status = cli.json("cloud", "status")
    assert not status["running"]
    assert "the daemon does not run, 0 machines run" in status["warnings"][0]
    assert len(_on_host(number)) == 3
    done = cli.run("cloud", "down")
    assert "no local cloud runs" not in done.stderr
    assert _on_host(number) == []
    again = cli.run("cloud", "down")
    assert "no local cloud runs" in again.stderr
    assert cli.json("cloud", "status")["warnings"] == []


def test_after_a_reboot_nothing_is_left_to_take_off(cli: Cli) -> None:
    """Of a host that was started anew nothing is in /run, and the endpoint file of the last daemon is still there."""
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
