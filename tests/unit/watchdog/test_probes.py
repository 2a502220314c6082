"""The probes of the watchdog."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from samovar.watchdog import probes
from samovar.watchdog.policy import Ping
from samovar.watchdog.probes import (
    SETTLED,
    age,
    ask,
    describe,
    diagnose,
    invocation,
    judge,
    lives,
    memory,
    observe,
    ports,
)
from tests.support.ports import free_port
from tests.support.roles import watchdog_config
from tests.support.wait import wait_until

MIB = 1 << 20
LONG = 15
"""Seconds of a page that comes slowly."""
FORKS = """\
import os, signal, sys
data = bytearray(b"x" * (64 << 20))
pids = [os.getpid()]
for _ in range(3):
    if not (pid := os.fork()):
        signal.pause()
    pids.append(pid)
print(*pids, flush=True)
sys.stdin.read()
for pid in pids[1:]:
    os.kill(pid, signal.SIGKILL)
"""
"""Four processes that have 64 MiB together."""


class Pages(BaseHTTPRequestHandler):
    """Answers with the status that the path names; at /long with a page that takes its time."""

    def do_GET(self) -> None:
        long = self.path == "/long"
        self.send_response(200 if long else int(self.path[1:]))
        self.end_headers()
        with suppress(OSError):
            for _ in range(LONG * 10 if long else 0):
                self.wfile.write(b"x")
                time.sleep(0.1)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Log nothing."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "ping"),
    [
        ("/200", Ping.OK),
        ("/204", Ping.OK),
        ("/302", Ping.OK),
        ("/404", Ping.ERROR),
        ("/500", Ping.ERROR),
        ("/503", Ping.ERROR),
        ("", Ping.OK),
    ],
)
def test_a_good_answer_is_below_400_and_a_connection_where_no_page_is_named(port: int, path: str, ping: Ping) -> None:
    assert ask(port, path) is ping


def test_a_page_without_an_end_is_a_good_answer_in_time(port: int) -> None:
    began = time.monotonic()
    assert ask(port, "/long") is Ping.OK
    assert time.monotonic() - began < LONG


@pytest.mark.parametrize("path", ["", "/200"])
def test_a_port_without_a_listener_is_unreachable(path: str) -> None:
    assert ask(free_port(), path) is Ping.UNREACHABLE


def test_an_application_that_does_not_answer_is_silent_unless_no_page_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        assert ask(deaf.getsockname()[1], "/") is Ping.TIMEOUT
        assert ask(deaf.getsockname()[1], "") is Ping.OK


def test_the_ports_of_processes_are_those_on_which_they_listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        mine = ports([os.getpid()])
        assert server.getsockname()[1] in mine
        assert client.getsockname()[1] not in mine
    assert ports([]) == []


def test_a_process_has_an_age_and_one_that_has_ended_has_none() -> None:
    assert 0 < age(os.getpid()) < age(1)
    assert age(1 << 30) == 0


def test_a_process_lives_until_it_has_ended() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        assert lives(process.pid)
        process.kill()
        wait_until("it has ended", lambda: not lives(process.pid))
    assert not lives(process.pid)


def test_memory_that_processes_share_counts_once() -> None:
    with subprocess.Popen([sys.executable, "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert 64 * MIB < memory(pids, limit=100 * MIB) < 100 * MIB
        process.communicate()
    assert memory(pids, limit=0) == 0


def test_each_run_has_the_number_that_systemd_gave_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes come and go: before the main one, and the first of all may end."""
    monkeypatch.setattr(probes, "INVOCATIONS", tmp_path)
    monkeypatch.setattr(probes, "processes", lambda _: [os.getpid()])
    (tmp_path / "invocation:shop.service").symlink_to("7" * 32)
    assert observe(watchdog_config(0, hold=30), print).run == int("7" * 32, 16)
    assert invocation("other.service") == 0


def test_the_diagnosis_of_a_program_that_cannot_be_executed_has_the_message_of_systemd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = watchdog_config(port=free_port())
    message = "shop.service: Failed at step EXEC spawning /opt/shop/api: Exec format error"

    def answer(_: object, program: str, *arguments: str) -> str:
        if program == "systemctl":
            return "11\n"
        either = ("_TRANSPORT=stdout", "+", "_SYSTEMD_UNIT=shop.service", f"MESSAGE_ID={probes.SPAWN_FAILED}")
        assert arguments[-4:] == either
        return f"{message}\n" * 3

    monkeypatch.setattr(probes, "run", answer)
    facts = f"it was started again 11 times; it does not listen at {config.port}; it printed last: {message}"
    assert diagnose(config, print) == facts


@pytest.mark.parametrize(
    ("lasted", "restarts", "ping"),
    [
        (0.0, 0, Ping.UNREACHABLE),
        (1.9, 0, Ping.UNREACHABLE),
        (2.0, 0, Ping.UP),
        (2.0, 1, Ping.UNREACHABLE),
        (SETTLED - 0.1, 1, Ping.UNREACHABLE),
        (SETTLED, 9, Ping.OK),
    ],
)
def test_the_first_run_counts_at_once_and_a_restarted_one_once_it_has_lasted(
    lasted: float, restarts: int, ping: Ping
) -> None:
    assert judge(lasted, 2.0, lambda: restarts) is ping


@pytest.mark.parametrize(
    ("port", "restarts", "listens", "wrong", "printed", "diagnosis"),
    [
        (8080, 0, [3000, 3001], "", "ready\n", "it listens at 3000, 3001, and not at 8080; it printed last: ready"),
        (
            80,
            7,
            [],
            "",
            "a\n\n b \na\n",
            "it was started again 7 times; it does not listen at 80; it printed last: a | b",
        ),
        (8080, 0, [8080], "", "", "it printed nothing"),
        (8080, 0, [8080], "it answers an error at /", "", "it answers an error at /; it printed nothing"),
        (0, 1, [9], "", "x" * 700, f"it was started again once; it printed last: {'x' * 600}"),
    ],
)
def test_a_diagnosis_is_one_line(
    port: int, restarts: int, listens: list[int], wrong: str, printed: str, diagnosis: str
) -> None:
    assert describe(port, restarts, listens, wrong, printed) == diagnosis
