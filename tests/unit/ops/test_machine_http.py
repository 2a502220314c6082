"""The way to a machine's loopback where the cloud forwards no ports: ssh, and curl on the machine."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest

from samovar.core.errors import ProcessFailed
from samovar.core.spawn import output_lines
from samovar.ops import machine_http
from samovar.ops.machine_http import MachineHttp
from samovar.ops.ssh import Hop
from tests.support.checkout import environment


def test_a_machine_is_asked_by_curl_over_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(argv: Sequence[str]) -> Iterator[str]:
        ran.append([*map(str, argv)])
        yield "an answer"

    monkeypatch.setattr(machine_http, "jump_path", lambda *_: (Hop("dev-watch-1", "10.30.0.9", "ssh-ed25519 AAAA"),))
    monkeypatch.setattr(machine_http, "output_lines", run)
    session = SimpleNamespace(host=None)
    server = MachineHttp(session, environment("dev"), "watch-1", 9090, headers={"Range": "entries=1"})  # type: ignore[arg-type] # of a session it takes this alone
    assert server.text("/api/v1/query", {"query": 'up{a="b c"}'}) == "an answer"
    (command,) = ran
    assert (command[0], command[3]) == ("ssh", "dev-watch-1")
    curl = shlex.split(command[4])
    url = "http://127.0.0.1:9090/api/v1/query?query=up%7Ba%3D%22b+c%22%7D"
    assert curl[-3:] == ["--header", "Range: entries=1", url]
    assert "--fail-with-body" in curl


def test_lines_of_a_process_come_until_it_ends_and_an_error_is_raised_then() -> None:
    assert [*output_lines(["printf", "a\\nb"])] == ["a", "b"]
    lines = output_lines(["sh", "-c", "echo a; exit 3"])
    assert next(lines) == "a"
    with pytest.raises(ProcessFailed, match="ended with 3"):
        next(lines)
