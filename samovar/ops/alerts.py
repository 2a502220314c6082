"""The alerts that fire in an environment, as the Prometheus of the group that monitors it says now, or not known."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel

from samovar.cloud.session import Session
from samovar.core.concurrency import Background
from samovar.core.errors import CloudError, SamovarError
from samovar.ops.metrics import Prometheus, collector, prometheus, query
from samovar.project.environment import Environment

FIRING = "firing"
TAKEN_IN = "count(up)"
"""The query for what Prometheus has taken in lately: of nothing, such as with a full disk, no rule can fire."""
NAME_LABELS = (
    "alertname",
    "instance",
    "exporter",
    "server",
    "name",
    "secret",
    "mountpoint",
    "method",
    "route",
    "objective",
    "datname",
    "queryid",
)
"""The labels that tell alerts apart, the name first. One without a machine is told apart by its group."""
ANSWER_TIMEOUT = 15.0
"""Seconds without an answer after which alerts are not known."""
NO_ANSWER = "Prometheus does not answer"


@dataclass(frozen=True)
class Alerts:
    """The alerts that fire, by their names. With a `failure`, which says why they are not known, those of before."""

    names: frozenset[str] = frozenset()
    failure: str | None = None


class _Alert(BaseModel, frozen=True):
    """An alert whose rule holds, `pending` or `firing`."""

    labels: dict[str, str]
    state: str


class _Data(BaseModel, frozen=True):
    alerts: tuple[_Alert, ...]


class _Answer(BaseModel, frozen=True):
    """The answer of Prometheus' HTTP API at /api/v1/alerts."""

    data: _Data


class FiringAlerts:
    """Returns the alerts that fire, as of the last answer: a Prometheus that is away or hangs holds nothing up.

    They are not known after ANSWER_TIMEOUT without an answer, or where there never was one but an error.
    """

    def __init__(self, ask: Callable[[], frozenset[str]], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._clock = ask, clock
        self._background = Background[frozenset[str]]()
        self._background.answer(ask)
        self._last = Alerts()
        self._until = clock() + ANSWER_TIMEOUT
        self._answered = False
        self._failure = NO_ANSWER

    def __call__(self) -> Alerts:
        try:
            names = self._background.answer(self._ask)
        except SamovarError as error:
            self._failure = error.message
            self._until = self._until if self._answered else self._clock()
        else:
            if names is not None:
                self._last, self._failure = Alerts(names), NO_ANSWER
                self._answered, self._until = True, self._clock() + ANSWER_TIMEOUT
        return self._last if self._clock() < self._until else replace(self._last, failure=self._failure)


def firing(session: Session, environment: Environment, identity: Path | None = None) -> Callable[[], Alerts]:
    """Return what reads the alerts that fire: none where nothing monitors the environment."""
    if environment.monitoring is None:
        return Alerts
    server, machine = prometheus(session, environment, identity), collector(environment)
    return FiringAlerts(lambda: firing_names(server, machine))


def firing_names(server: Prometheus, machine: str) -> frozenset[str]:
    """Return the names of the alerts that fire now; `machine` is that of Prometheus. Raises CloudError.

    Prometheus itself is asked, and not its series `ALERTS`: an alert that fired before its restart lives on there.
    """
    if not query(server, TAKEN_IN):
        raise CloudError(
            f"Prometheus of {machine} takes in no metrics",
            remedy=f"after a start that takes seconds; else see whether the data disk of {machine} is full",
        )
    answer = _Answer.model_validate_json(server.text("/api/v1/alerts", {}))
    return frozenset(name_of(each.labels) for each in answer.data.alerts if each.state == FIRING)


def name_of(labels: Mapping[str, str]) -> str:
    """Return the name of an alert by its labels, such as `ServiceRestarted web-2 haproxy.service (info)`."""
    named = {"instance": labels.get("group", ""), **labels}
    words = [named[label] for label in NAME_LABELS if named.get(label)]
    return " ".join([*words, f"({labels['severity']})"] if labels.get("severity") else words)
