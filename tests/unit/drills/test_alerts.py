"""The alerts of a drill: which of them began, and how they differ from what the drill states."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

import pytest

from samovar.core.errors import CloudError
from samovar.core.output import stderr_reporter
from samovar.drills import alerts
from samovar.drills.alerts import DrillAlerts, Fired, fired_since, judge, read_alerts
from samovar.project.drill import Drill

AWAY = "away"
FIRED = frozenset({"ServiceRestarted"})


def stated(expected: Sequence[str] | None = None, possible: Sequence[str] = ()) -> Drill:
    return Drill.model_validate({"fault": "kill", "target": "a", "alerts": expected, "possible_alerts": possible})


@pytest.mark.parametrize(
    ("drill", "fired", "verdict"),
    [
        (stated(["ServiceRestarted"]), Fired(FIRED), DrillAlerts(("ServiceRestarted",))),
        (stated(["ServiceRestarted"]), Fired(), DrillAlerts(missing=("ServiceRestarted",))),
        (stated(["ServiceRestarted"]), Fired(before=FIRED), DrillAlerts(not_judged=("ServiceRestarted",))),
        (stated(["ServiceRestarted"]), Fired(FIRED, before=FIRED), DrillAlerts(("ServiceRestarted",))),
        (stated([]), Fired(FIRED), DrillAlerts(("ServiceRestarted",), unexpected=("ServiceRestarted",))),
        (stated([]), Fired(before=FIRED), DrillAlerts()),
        (stated([], ["ServiceRestarted"]), Fired(FIRED), DrillAlerts(("ServiceRestarted",))),
        (stated([], ["ServiceRestarted"]), Fired(), DrillAlerts()),
        (stated(), Fired(FIRED), DrillAlerts(("ServiceRestarted",))),
    ],
    ids=[
        "fired",
        "missing",
        "fired before",
        "again",
        "unexpected",
        "left over",
        "possible",
        "not needed",
        "not stated",
    ],
)
def test_an_alert_that_is_missing_or_unexpected_is_named(drill: Drill, fired: Fired, verdict: DrillAlerts) -> None:
    assert judge(drill, fired) == verdict


class Prometheus:
    """Answers which alerts began, each time the next of `began`, and which fired before."""

    def __init__(self, *began: str, before: str = "") -> None:
        self.asked: list[str] = []
        self._began = list(began)
        self._before = before

    def text(self, path: str, query: Mapping[str, str]) -> str:
        assert path == "/api/v1/query"
        self.asked.append(query["query"])
        if AWAY in self._began:
            raise CloudError("it is away")
        name = self._before if query["query"].startswith("ALERTS") else self._next()
        result = [{"metric": {"alertname": name, "instance": "app-1"}, "value": [1.5, "1"]}] if name else []
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})

    def _next(self) -> str:
        return self._began.pop(0) if len(self._began) > 1 else self._began[0]


def test_alerts_are_asked_for_by_the_seconds_since_the_fault() -> None:
    server = Prometheus("EdgeErrors", before="MachineDown")
    assert read_alerts(server, 12.1) == Fired(frozenset({"EdgeErrors"}), frozenset({"MachineDown"}))
    assert "ALERTS_FOR_STATE[13s]) >= time() - 13" in server.asked[0]
    assert server.asked[1].endswith("offset 13s")


def test_a_new_start_of_prometheus_begins_no_alert_of_before() -> None:
    server = Prometheus("")
    read_alerts(server, 12.1)
    assert 'process_start_time_seconds{job="prometheus"}) > time() - 13' in server.asked[0]


def fired(server: Prometheus | None, *expected: str) -> Fired | None:
    return fired_since(time.monotonic(), stated(expected), server, stderr_reporter())


def test_an_alert_that_is_expected_is_waited_for() -> None:
    server = Prometheus("", "", "ServiceRestarted")
    assert fired(server, "ServiceRestarted") == Fired(FIRED)
    assert len(server.asked) == 6


def test_an_alert_that_does_not_fire_or_fired_before_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Prometheus("", before="ServiceRestarted")
    assert fired(before, "ServiceRestarted") == Fired(before=FIRED)
    assert len(before.asked) == 2
    monkeypatch.setattr(alerts, "LATE", 0.2)
    assert fired(Prometheus(""), "ServiceRestarted") == Fired()


def test_without_an_answer_of_prometheus_alerts_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert fired(None) is None
    assert fired(Prometheus(AWAY)) is None
    assert "are not known: it is away" in capsys.readouterr().err
