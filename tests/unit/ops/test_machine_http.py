"""The way to a machine's loopback where the cloud forwards no ports: ssh, and curl on the machine."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest

from samovar.core.errors import CloudError, ProcessFailed, RequestRefused, SamovarError
from samovar.core.spawn import output_lines
from samovar.ops import machine_http, ssh
from samovar.ops.machine_http import MachineHttp
from samovar.ops.ssh import Hop
from tests.support.checkout import environment


def test_a_machine_is_asked_by_curl_over_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(argv: Sequence[str]) -> Iterator[str]:
        ran.append([*map(str, argv)])
        yield "an answer"

    monkeypatch.setattr(ssh, "jump_path", lambda *_: (Hop("dev-watch-1", "10.30.0.9", "ssh-ed25519 AAAA"),))
    monkeypatch.setattr(machine_http, "output_lines", run)
    session = SimpleNamespace(host=None)
    server = MachineHttp(session, environment("dev"), "watch-1", 9090, headers={"Range": "entries=1"})  # type: ignore[arg-type] # of a session it takes this alone
    assert server.text("/api/v1/query", {"query": 'up{a="b c"}'}) == "an answer"
    (command,) = ran
    assert (command[0], command[3]) == ("ssh", "dev-watch-1")
    curl = shlex.split(command[4])
    url = "http://127.0.0.1:9090/api/v1/query?query=up%7Ba%3D%22b+c%22%7D"
    assert curl[-5:] == ["--max-time", "30", "--header", "Range: entries=1", url]
    assert "--fail-with-body" in curl


def failing(error: SamovarError) -> MachineHttp:
    """A Prometheus whose machine the cloud reaches, with an error."""

    def lines_of(*_: object, timeout: float | None) -> Iterator[str]:
        assert timeout
        raise error
        yield ""

    session = SimpleNamespace(host=SimpleNamespace(lines_of=lines_of))
    return MachineHttp(session, environment("dev"), "watch-1", 9090, service="Prometheus")  # type: ignore[arg-type] # of a session it takes this alone


def test_a_server_that_does_not_answer_is_named_with_its_port_and_commands_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine_http, "find_machine", lambda *_: SimpleNamespace(id="a"))
    with pytest.raises(CloudError) as error:
        failing(CloudError(f"GET https://127.0.0.1:1/{'x' * 600}: 502")).text("/api/v1/query", {"query": "up"})
    assert error.value.message == "Prometheus of watch-1 does not answer at port 9090"
    assert "status dev`" in error.value.remedy
    assert "logs dev watch-1 --console`" in error.value.remedy


def test_the_answer_to_a_wrong_request_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_http, "find_machine", lambda *_: SimpleNamespace(id="a"))
    for answer in ("parse error", '{"status":"error","errorType":"bad_data","error":"parse error"}'):
        with pytest.raises(CloudError, match=r"^Prometheus of watch-1: parse error$"):
            failing(RequestRefused(answer)).text("/api/v1/query", {"query": "up{"})


@pytest.mark.parametrize(("code", "words"), [(7, "does not answer at port 9090"), (22, "answers with an error")])
def test_an_error_of_curl_names_the_server(code: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "jump_path", lambda *_: (Hop("dev-watch-1", "10.30.0.9", "ssh-ed25519 AAAA"),))
    monkeypatch.setattr(machine_http, "output_lines", lambda _: output_lines(["sh", "-c", f"exit {code}"]))
    server = MachineHttp(SimpleNamespace(host=None), environment("dev"), "watch-1", 9090)  # type: ignore[arg-type] # of a session it takes this alone
    with pytest.raises(CloudError, match=rf"^the server of watch-1 {words}"):
        server.text("/", {})


def test_lines_of_a_process_come_until_it_ends_and_an_error_is_raised_then() -> None:
    assert [*output_lines(["printf", "a\\nb"])] == ["a", "b"]
    lines = output_lines(["sh", "-c", "echo a; exit 3"])
    assert next(lines) == "a"
    with pytest.raises(ProcessFailed, match="ended with 3"):
        next(lines)
