"""The engine of drills, on a server of the test's own and an environment that a group monitors."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from samovar.cloud.session import Session
from samovar.core.output import stderr_reporter
from samovar.drills import run
from samovar.drills.alerts import DrillAlerts
from samovar.drills.faults import Fault
from samovar.drills.journal import Journal
from samovar.drills.recovery import Snapshot
from samovar.drills.report import Verdict
from samovar.load.client import Target
from samovar.load.generator import Load
from samovar.project.drill import Drill
from samovar.project.load_profile import load_profile
from tests.support.checkout import ROOT, environment
from tools.drills import monitored_dev


class Well(BaseHTTPRequestHandler):
    """Answers everything with an empty page."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base's
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Well) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Firing:
    """A Prometheus in which one alert began to fire since the fault, and none before."""

    def text(self, path: str, query: Mapping[str, str]) -> str:
        began = [{"metric": {"alertname": "EdgeErrors"}, "value": [1.5, "1"]}]
        result = [] if query["query"].startswith("ALERTS") else began
        return json.dumps({"path": path, "data": {"resultType": "vector", "result": result}})


def test_alerts_that_began_since_the_fault_are_judged_and_degrade_a_drill_that_no_user_noticed(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "take_snapshot", lambda *_: Snapshot(healthy=True))
    monkeypatch.setattr(run, "prometheus", lambda *_: Firing())
    drill = Drill.model_validate({"name": "mine", "fault": "drain", "target": "nginx", "alerts": []})
    load = Load(load_profile(ROOT / "loads", "stable").with_path("/"), (Target(address),), 10, 60)
    drilled = run.run_drill(
        object.__new__(Session),  # nothing asks it
        environment("dev", monitored_dev(tmp_path / "envs")),
        load,
        drill,
        Fault("nothing", (), (), hold=0.1),
        Journal("folder", "dev", tmp_path),
        stderr_reporter(),
    )
    assert drilled.report.alerts == DrillAlerts(("EdgeErrors",), unexpected=("EdgeErrors",))
    assert (drilled.report.failed, drilled.report.verdict) == (0, Verdict.DEGRADED)
