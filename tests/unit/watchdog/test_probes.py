"""The probes of the watchdog."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from samovar.watchdog import probes
from samovar.watchdog.policy import Ping
from samovar.watchdog.probes import SETTLED, age, ask, describe, diagnose, judge, ports
from tests.support.ports import free_port
from tests.support.roles import watchdog_config


class Pages(BaseHTTPRequestHandler):
    """Answers with the status that the path names."""

    def do_GET(self) -> None:
        self.send_response(int(self.path[1:]))
        self.end_headers()

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
