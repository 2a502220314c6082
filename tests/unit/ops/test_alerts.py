"""The alerts that fire: what they are called, and when they are not known."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping

import pytest

from samovar.core.errors import CloudError
from samovar.ops.alerts import ANSWER_TIMEOUT, NO_ANSWER, TAKEN_IN, Alerts, FiringAlerts, firing_names, name_of
from tests.support.wait import wait_until

DOWN = frozenset({"MachineDown web-1"})
Ask = Callable[[], frozenset[str]]


class Prometheus:
    """Has alerts by their labels, the last of which is pending, and metrics of so many targets."""

    def __init__(self, *alerts: Mapping[str, str], targets: int = 1) -> None:
        self._alerts = alerts
        self._targets = targets

    def text(self, path: str, query: Mapping[str, str]) -> str:
        if path == "/api/v1/alerts":
            states = ["firing"] * (len(self._alerts) - 1) + ["pending"]
            alerts = [
                {
                    "labels": labels,
                    "annotations": {},
                    "state": state,
                    "activeAt": "2026-01-01T00:00:00Z",
                    "value": "1e+00",
                }
                for labels, state in zip(self._alerts, states, strict=True)
            ]
            return json.dumps({"status": "success", "data": {"alerts": alerts}})
        assert (path, query) == ("/api/v1/query", {"query": TAKEN_IN})
        result = [{"metric": {}, "value": [1.5, str(self._targets)]}] if self._targets else []
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


def test_an_alert_that_is_pending_does_not_fire() -> None:
    server = Prometheus({"alertname": "EdgeErrors"}, {"alertname": "EdgeSlow"}, {"alertname": "MachineDown"})
    assert firing_names(server, "watch-1") == {"EdgeErrors", "EdgeSlow"}


def test_a_prometheus_that_takes_in_no_metrics_knows_no_alerts() -> None:
    with pytest.raises(CloudError, match="Prometheus of watch-1 takes in no metrics") as error:
        firing_names(Prometheus({"alertname": "EdgeErrors"}, targets=0), "watch-1")
    assert "disk of watch-1" in error.value.remedy


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({"instance": "web-2", "name": "haproxy.service", "severity": "info"}, "A web-2 haproxy.service (info)"),
        ({"method": "GET", "route": "/a", "objective": "errors", "severity": "page"}, "A GET /a errors (page)"),
        ({"group": "web", "severity": "ticket"}, "A web (ticket)"),
        ({"job": "node", "group": "web", "instance": "web-1"}, "A web-1"),
        ({"job": "edge", "group": "web", "instance": "web-1", "exporter": "edge"}, "A web-1 edge"),
        ({"instance": "web-1", "mountpoint": "/", "device": "overlay", "fstype": "overlay"}, "A web-1 /"),
        ({"instance": "web-1", "server": "dns", "name": "app"}, "A web-1 dns app"),
        ({}, "A"),
    ],
)
def test_an_alert_is_called_by_the_labels_that_distinguish_it(labels: Mapping[str, str], name: str) -> None:
    assert name_of({"alertname": "A", **labels}) == name


class Clock:
    """Tells a time that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def answering(*answers: frozenset[str] | CloudError, then: Ask) -> Ask:
    left = list(answers)

    def ask() -> frozenset[str]:
        answer = left.pop(0) if left else then()
        if isinstance(answer, CloudError):
            raise answer
        return answer

    return ask


def hanging(released: threading.Event) -> Ask:
    def ask() -> frozenset[str]:
        released.wait(60)
        return frozenset()

    return ask


def failing() -> frozenset[str]:
    raise CloudError("it is away")


def test_alerts_are_kept_for_some_seconds_without_an_answer_and_fail_afterwards() -> None:
    clock = Clock()
    alerts = FiringAlerts(answering(DOWN, then=failing), clock)
    wait_until("an answer", lambda: alerts() == Alerts(DOWN), timeout=60)
    clock.now = ANSWER_TIMEOUT - 1
    for _ in range(3):
        assert alerts() == Alerts(DOWN)
    clock.now = ANSWER_TIMEOUT
    wait_until("the reason", lambda: alerts() == Alerts(DOWN, "it is away"), timeout=60)


def test_a_prometheus_that_hangs_holds_nothing_up_and_its_alerts_are_current_once_it_answers() -> None:
    clock, released = Clock(), threading.Event()
    alerts = FiringAlerts(answering(DOWN, then=hanging(released)), clock)
    wait_until("an answer", lambda: alerts() == Alerts(DOWN), timeout=60)
    clock.now = ANSWER_TIMEOUT
    assert alerts() == Alerts(DOWN, NO_ANSWER)
    released.set()
    wait_until("the alert ended", lambda: alerts() == Alerts(), timeout=60)


def test_the_first_error_of_a_prometheus_that_never_answered_is_a_failure() -> None:
    alerts = FiringAlerts(failing, Clock())
    wait_until("the reason", lambda: alerts() == Alerts(failure="it is away"), timeout=60)
