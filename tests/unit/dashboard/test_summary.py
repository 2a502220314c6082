"""The line of the page that says how things are."""

from __future__ import annotations

from samovar.dashboard.render import render
from samovar.deploy.status import GroupStatus, Status
from samovar.ops.alerts import Alerts
from samovar.ops.events import Reading
from tests.support.checkout import environment

NAME = "ServiceRestarted web-2 haproxy.service (info)"


def summary(alerts: Alerts) -> str:
    dev = environment("dev")
    groups = tuple(GroupStatus(group.name, 2, None) for group in dev.groups)
    return render(dev, Reading(1.0, Status("dev", groups), alerts=alerts), tall=False).summary


def test_alerts_that_fire_are_shown_by_their_names() -> None:
    assert f"✕ {NAME}</strong>" in summary(Alerts(frozenset({NAME})))


def test_old_alerts_are_hidden_without_an_answer_and_its_reason_is_shown() -> None:
    shown = summary(Alerts(frozenset({NAME}), "Prometheus of watch-1 does not answer at port 9090"))
    assert NAME not in shown
    assert "alerts are not known</strong> <span>Prometheus of watch-1 does not answer at port 9090</span>" in shown
