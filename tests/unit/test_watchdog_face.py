"""What the watchdog of a bingo tells over HTTP, and what it does not."""

from __future__ import annotations

import socket

import pytest

from images.bingo.watchdog.face import Face
from images.bingo.watchdog.judge import Verdict
from tests.support.ports import free_port


@pytest.fixture(scope="module")
def port() -> int:
    port = free_port()
    Face(port).verdict = Verdict()
    return port


def ask(port: int, line: str) -> str:
    with socket.create_connection(("127.0.0.1", port), 5) as made:
        made.sendall(f"{line}\r\nHost: a\r\n\r\n".encode())
        made.settimeout(5)
        return made.makefile("rb").read().decode()


def test_it_tells_how_the_machine_is(port: int) -> None:
    assert ask(port, "GET /-/health HTTP/1.0").endswith("\r\n\r\nok\n")


@pytest.mark.parametrize("line", ["GET /-/x HTTP/1.0", "HEAD /-/health HTTP/1.0", "POST / HTTP/1.0", "GET / HTTP/x"])
def test_it_does_not_tell_what_it_is_made_of(port: int, line: str) -> None:
    answer = ask(port, line)
    assert not {word for word in ("Python", "BaseHTTP", "html") if word in answer}
