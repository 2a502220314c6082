"""The watchdog ends an application: no request reaches a process that is about to be gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from samovar.watchdog import actions
from samovar.watchdog.actions import Actions
from samovar.watchdog.probes import in_flight
from tests.support.roles import watchdog_config
from tests.support.wait import wait_until

SERVE = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
LEAVES = f"""\
import signal
def leave(*_): s.close()
signal.signal(signal.SIGTERM, leave)
{SERVE}
"""
"""It listens no more from the signal on, and lives on, as one does that finishes what it has begun."""
SLOW_TO_DIE = "#!/bin/sh\n(sleep 0.3; kill -KILL {pid}) >/dev/null 2>&1 &\n"
SYSTEMCTL = """\
#!/bin/sh
case "$*" in *restart*) echo restart; [ {ends} = no ] || kill {pid} ;; *) echo kill; kill -KILL {pid} ;; esac >>{log}
"""
NFT = """\
#!/bin/bash
if (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null; then there=accepts; else there=gone; fi
case "$*" in *add*) echo "held $there" ;; *) echo "released $there" ;; esac >>{log}
"""


@pytest.fixture
def shop() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that accepts connections, and its port."""
    command = [sys.executable, "-c", SERVE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process, int(process.stdout.readline())
        process.kill()


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def test_requests_are_held_until_a_killed_application_has_ended(
    shop: tuple[subprocess.Popen[str], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process lives on for a while on a busy host, and the kernel accepts connections for it."""
    process, port = shop
    monkeypatch.setattr(actions, "processes", lambda _: [process.pid])
    program(tmp_path, "systemctl", SLOW_TO_DIE.format(pid=process.pid))
    program(tmp_path, "nft", NFT.format(port=port, log=tmp_path / "log"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    output: list[str] = []
    assert Actions(watchdog_config(port), output.append).renew("it ran long enough")
    assert output == ["shop ends: it ran long enough"]
    assert (tmp_path / "log").read_text().splitlines() == ["held accepts", "held accepts", "released gone"]


@pytest.mark.parametrize(("ends", "commands"), [("yes", ["restart"]), ("no", ["restart", "kill"])])
def test_a_healthy_application_may_stop_by_itself_and_is_killed_where_it_does_not(
    shop: tuple[subprocess.Popen[str], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ends: str,
    commands: list[str],
) -> None:
    process, port = shop
    monkeypatch.setattr(actions, "processes", lambda _: [process.pid])
    program(tmp_path, "systemctl", SYSTEMCTL.format(log=tmp_path / "log", pid=process.pid, ends=ends))
    program(tmp_path, "nft", "#!/bin/sh\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    Actions(watchdog_config(port, stop=1), print).stop("it has too much memory")
    assert (tmp_path / "log").read_text().split() == commands


@pytest.mark.parametrize("worker", [True, False])
def test_what_does_not_end_in_time_is_killed_though_it_listens_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, worker: bool
) -> None:
    with subprocess.Popen([sys.executable, "-c", LEAVES], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        monkeypatch.setattr(actions, "processes", lambda _: [process.pid])
        program(tmp_path, "systemctl", SYSTEMCTL.format(log=tmp_path / "log", pid=process.pid, ends="yes"))
        program(tmp_path, "nft", "#!/bin/sh\n")
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        config = watchdog_config(0, stop=1, hold=30) if worker else watchdog_config(port, stop=1)
        Actions(config, print).stop("it has too much memory")
    assert (tmp_path / "log").read_text().split() == ["restart", "kill"]


def test_restarts_are_forgotten_by_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "systemctl", f'#!/bin/sh\necho "$*" >{tmp_path / "log"}\n')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    Actions(watchdog_config(8080), print).forget_restarts()
    assert (tmp_path / "log").read_text() == "reset-failed application.service\n"


def test_a_request_in_flight_puts_a_renewal_off(
    shop: tuple[subprocess.Popen[str], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, port = shop
    program(tmp_path, "nft", NFT.format(port=port, log=tmp_path / "log"))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    output: list[str] = []
    with socket.create_connection(("127.0.0.1", port)):
        assert not Actions(watchdog_config(port), output.append).renew("it ran long enough")
    assert output == []
    assert (tmp_path / "log").read_text().splitlines() == ["held accepts", "released accepts"]


def test_a_connection_that_is_not_there_yet_is_in_flight() -> None:
    """Its first packet passed before requests were held; the answer to it is on the way."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as late:
        address = full.getsockname()
        with socket.create_connection(address):
            assert in_flight(address[1]) == 1
            late.settimeout(0)
            late.connect_ex(address)
            wait_until("the second one", lambda: in_flight(address[1]) == 2)


def test_a_full_disk_lets_no_link_of_the_application_lead_root_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may write in the folder of its logs, where it can put a link in the place of each of them."""
    logs, other = tmp_path / "logs", tmp_path / "other"
    for folder in (logs / "a", other):
        folder.mkdir(parents=True)
        for name in ("main.log", "main.log.1"):
            (folder / name).write_bytes(bytes(2 << 20))
    (logs / "b").symlink_to(other)
    (logs / "c").mkdir()
    (logs / "c/main.log").symlink_to(other / "main.log")
    (logs / "c/main.log.1").symlink_to("nowhere")
    os.mkfifo(logs / "c/main.log.2")
    monkeypatch.setattr(actions, "free", lambda _: 0.0)
    program(tmp_path, "journalctl", "#!/bin/sh\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    Actions(replace(watchdog_config(8080), log_files=(f"{logs}/*/main.log",)), print).tidy(0.15)
    assert {path.name: path.stat().st_size for path in other.iterdir()} == {"main.log": 2 << 20, "main.log.1": 2 << 20}
    assert {path.name: path.stat().st_size for path in (logs / "a").iterdir()} == {"main.log": 0}
    assert [path.name for path in (logs / "c").iterdir()] == ["main.log"]


def test_a_connection_of_the_application_to_another_server_is_no_request_in_flight() -> None:
    with socket.create_server(("127.0.0.2", 0)) as elsewhere, socket.create_connection(elsewhere.getsockname()):
        assert in_flight(elsewhere.getsockname()[1]) == 0
