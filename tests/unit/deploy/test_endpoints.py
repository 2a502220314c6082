"""A status is green only where the addresses that it shows are answered by its own machines."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from samovar.core.errors import WaitTimeout
from samovar.core.output import stderr_reporter
from samovar.deploy import endpoints
from samovar.deploy.endpoints import check_endpoints, wait_for_endpoints
from samovar.deploy.status import Endpoints, GroupStatus, MachineStatus, Status, Unanswered

MACHINE = MachineStatus("dev-nginx-1", "ru-central1-a", "10.30.0.3", "RUNNING_ACTUAL", "image", "HEALTHY")
GROUP = GroupStatus("nginx", 1, "image", (MACHINE,))
HERE = "127.0.0.1"


class _Edge(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer 404, as an edge does that shows nothing of itself to the world."""
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _edge() -> Iterator[str]:
    with ThreadingHTTPServer((HERE, 0), _Edge) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{HERE}:{server.server_address[1]}/"
        server.shutdown()


def _session(routed: frozenset[str] | None) -> Any:
    return SimpleNamespace(host=SimpleNamespace(addresses=lambda: routed))


def _elsewhere() -> Any:
    """A session with a cloud whose host is not ours."""
    return SimpleNamespace(host=None)


def _status(url: str) -> Status:
    return Status("dev", (GROUP,), Endpoints(http=(url,)))


def _shut() -> str:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return f"http://{HERE}:{probe.getsockname()[1]}/"


def test_any_http_answer_counts_as_an_answering_endpoint() -> None:
    with _edge() as url:
        assert check_endpoints(_session(frozenset({HERE})), _status(url)).healthy
        assert check_endpoints(_elsewhere(), _status(url)).healthy


def test_an_endpoint_routed_to_another_cloud_is_not_healthy() -> None:
    with _edge() as url:
        actual = check_endpoints(_session(frozenset({"127.66.2.1"})), _status(url))
    assert not actual.healthy
    assert "is not routed to this cloud" in actual.unanswered[0].reason
    assert actual.unanswered[0].url == url


@pytest.mark.parametrize("session", [_session(frozenset({HERE})), _elsewhere()])
def test_an_endpoint_without_an_answer_is_not_healthy(session: Any) -> None:
    actual = check_endpoints(session, _status(_shut()))
    assert not actual.healthy
    assert "Connection refused" in actual.unanswered[0].reason


def test_a_silent_endpoint_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "TIMEOUT", 0.2)
    with socket.create_server((HERE, 0)) as mute:
        began = time.monotonic()
        actual = check_endpoints(_elsewhere(), _status(f"http://{HERE}:{mute.getsockname()[1]}/"))
    assert "timed out" in actual.unanswered[0].reason
    assert time.monotonic() - began < 5


def test_endpoints_of_simulated_machines_are_not_checked() -> None:
    assert check_endpoints(_session(None), _status(_shut())).healthy


def test_endpoints_of_an_unhealthy_environment_are_not_checked() -> None:
    status = Status("dev", (GroupStatus("nginx", 2, "image", (MACHINE,)),), Endpoints(http=(_shut(),)))
    assert check_endpoints(_session(frozenset()), status) == status


def test_a_lost_listener_hides_no_endpoint_without_an_answer() -> None:
    lost = Unanswered("https://127.66.1.1/", "has no listener in the cloud")
    actual = check_endpoints(_elsewhere(), replace(_status(_shut()), unanswered=(lost,)))
    assert actual.unanswered[0] == lost
    assert "Connection refused" in actual.unanswered[1].reason


def test_unanswered_endpoints_fail_a_local_rollout_and_warn_on_yandex_cloud(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(endpoints, "ANSWER_TIMEOUT", 0.2)
    with pytest.raises(WaitTimeout, match="timed out waiting for dev to answer"):
        wait_for_endpoints(_session(frozenset()), _status(_shut()), stderr_reporter())
    assert not wait_for_endpoints(_elsewhere(), _status(_shut()), stderr_reporter()).healthy
    assert "warning: http://127.0.0.1" in capsys.readouterr().err
