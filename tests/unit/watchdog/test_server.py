"""The health page of the watchdog."""

from __future__ import annotations

import socket

import pytest

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


@pytest.mark.parametrize("line", ["GET /-/x HTTP/1.0", "HEAD /-/health HTTP/1.0", "POST / HTTP/1.0", "GET / HTTP/x"])
def test_errors_name_no_software(port: int, line: str) -> None:
    answer = ask(port, line)
    assert not {word for word in ("Python", "BaseHTTP", "html") if word in answer}
