from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice, pairwise
from pathlib import Path

import pytest

from samovar.agent import report
from samovar.agent.agent import Agent, run
from samovar.agent.clients import Metadata
from samovar.agent.inputs import Periods
from samovar.agent.role import InvalidConfig

ROLE = "{templates: [{source: a.conf.j2, target: /etc/a.conf}], defaults: {port: 80}}"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class PlainService(ThreadingHTTPServer):
    """A metadata service whose settings change after `steady` questions."""

    def __init__(self, steady: int) -> None:
        super().__init__(("127.0.0.1", 0), PlainAnswer)
        self.steady = steady
        self.asked: list[float] = []

    def settings(self) -> str:
        self.asked.append(time.monotonic())
        return f"port: {1 if len(self.asked) <= self.steady else 2}"


class PlainAnswer(BaseHTTPRequestHandler):
    server: PlainService

    def do_GET(self) -> None:
        attributes = {"samovar-role": "a", "samovar-settings": self.server.settings()}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"attributes": attributes}).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Write no log."""


def test_the_agent_polls_and_applies_a_change(tmp_path: Path) -> None:
    write(tmp_path / "usr/lib/samovar/roles/a.yaml", ROLE)
    write(tmp_path / "usr/share/samovar/templates/a.conf.j2", "port {{ settings.port }}\n")
    with PlainService(steady=4) as service:
        threading.Thread(target=service.serve_forever, args=(0.05,), daemon=True).start()
        agent = Agent(Metadata(f"http://127.0.0.1:{service.server_port}"), tmp_path, periods=Periods(0.1, 0.1))
        assert list(islice(agent.watch(), 2)) == ["role a: configured"] * 2
        service.shutdown()
    assert (tmp_path / "etc/a.conf").read_text() == "port 2\n"
    pauses = [later - earlier for earlier, later in pairwise(service.asked[1:])]
    assert len(pauses) == 3
    assert min(pauses) >= 0.09


def test_a_file_that_was_edited_is_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "usr/lib/samovar/roles/a.yaml", ROLE)
    write(tmp_path / "usr/share/samovar/templates/a.conf.j2", "port {{ settings.port }}\n")
    file = tmp_path / "etc/a.conf"
    with PlainService(steady=1000) as service:
        threading.Thread(target=service.serve_forever, args=(0.05,), daemon=True).start()
        periods = Periods(0.05, 0.1, files=0.1)
        statuses = Agent(Metadata(f"http://127.0.0.1:{service.server_port}"), tmp_path, periods=periods).watch()
        for spoil in (lambda: file.write_text("port 99\n"), file.unlink):
            assert next(statuses) == "role a: configured"
            assert file.read_text() == "port 1\n"
            spoil()
        assert next(statuses) == "role a: configured"
        service.shutdown()
    assert file.read_text() == "port 1\n"
    assert "/etc/a.conf: edited by others, and written anew" in capsys.readouterr().out


CHECKED = (
    "{templates: [{source: a.conf.j2, target: /etc/a.conf, units: [a.service]}], units: [a.service], "
    "check: [check], defaults: {port: 80}}"
)


def test_a_machine_that_serves_keeps_its_configuration_where_a_new_one_is_refused(tmp_path: Path) -> None:
    """Units that are ordered after the agent would not be started again while it is not ready."""
    write(tmp_path / "usr/lib/samovar/roles/a.yaml", CHECKED)
    write(tmp_path / "usr/share/samovar/templates/a.conf.j2", "port {{ settings.port }}\n")
    file = tmp_path / "etc/a.conf"

    def accept_port_1(command: Sequence[str]) -> None:
        if list(command) == ["check"] and file.read_text() != "port 1\n":
            raise InvalidConfig("check: ended with 1: no such port")

    with PlainService(steady=2) as service:
        threading.Thread(target=service.serve_forever, args=(0.05,), daemon=True).start()
        metadata, periods = Metadata(f"http://127.0.0.1:{service.server_port}"), Periods(0.05, 0.05, files=0.1)
        refused = (
            "cannot configure this machine: check: ended with 1: no such port; the machine serves with what it has"
        )
        statuses = Agent(metadata, tmp_path, run=accept_port_1, periods=periods).watch()
        assert list(islice(statuses, 3)) == ["role a: configured", refused, refused]
        assert file.read_text() == "port 1\n"
        again = Agent(metadata, tmp_path, run=accept_port_1, periods=periods).watch()
        assert list(islice(again, 2)) == [report.STARTED, refused]
        assert file.read_text() == "port 1\n"
        (tmp_path / "run/samovar/configured").unlink()
        with pytest.raises(InvalidConfig, match="no such port"):
            next(Agent(metadata, tmp_path, run=accept_port_1, periods=periods).watch())
        service.shutdown()


def test_ready_follows_status_on_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"samovar-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        report.ready("role a: configured")
        assert [receiver.recv(100), receiver.recv(100)] == [b"STATUS=role a: configured", b"READY=1"]


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (["sh", "-c", "echo one; echo two >&2; exit 3"], "ended with 3: one; two"),
        (["/no/such/program"], "No such file"),
    ],
)
def test_a_failed_command_is_quoted(command: list[str], what: str) -> None:
    with pytest.raises(InvalidConfig, match=what):
        run(command)
