"""The health page of the watchdog."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from samovar.watchdog import server
from samovar.watchdog.policy import Verdict
from samovar.watchdog.server import HealthServer
from tests.support.ports import free_port


@pytest.fixture(scope="module")
def port() -> int:
    port = free_port()
    HealthServer(port).verdict = Verdict()
    return port


def ask(port: int, line: str) -> str:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(f"{line}\r\nHost: a\r\n\r\n".encode())
        connection.settimeout(5)
        return connection.makefile("rb").read().decode()


def test_health_answers_ok(port: int) -> None:
    assert ask(port, "GET /-/health HTTP/1.0").endswith("\r\n\r\nok\n")


def test_a_machine_that_is_about_to_stop_is_alive_and_not_ready(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LEAVING", tmp_path / "leaving")
    assert ask(port, "GET /-/ready HTTP/1.0").endswith("\r\n\r\nok\n")
    (tmp_path / "leaving").touch()
    assert ask(port, "GET /-/ready HTTP/1.0").endswith("\r\n\r\nthe machine is about to stop\n")
    assert ask(port, "GET /-/health HTTP/1.0").endswith("\r\n\r\nok\n")


@pytest.mark.parametrize("line", ["GET /-/x HTTP/1.0", "HEAD /-/health HTTP/1.0", "POST / HTTP/1.0", "GET / HTTP/x"])
def test_errors_name_no_software(port: int, line: str) -> None:
    answer = ask(port, line)
    assert not {word for word in ("Python", "BaseHTTP", "html") if word in answer}


def test_a_check_that_resets_its_connection_prints_no_traceback(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ask(port, "GET /-/health HTTP/1.0")
    assert capfd.readouterr().err == ""
