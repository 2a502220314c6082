"""The alerts that fire in an environment, where a group monitors it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from samovar.cloud.session import Session
from samovar.core.concurrency import start
from samovar.core.errors import SamovarError
from samovar.ops.metrics import Series, prometheus, query
from samovar.project.environment import Environment

FIRING = 'ALERTS{alertstate="firing"}'
NAMES = ("alertname", "instance", "method", "route")
"""The labels that tell alerts apart, the name first."""


class FiringAlerts:
    """Returns the alerts that fire, as of the last answer: a Prometheus that is away or hangs holds nothing up."""

    def __init__(self, ask: Callable[[], frozenset[str]]) -> None:
        self._ask = ask
        self._asked = start(ask)
        self._last = frozenset[str]()

    def __call__(self) -> frozenset[str]:
        if self._asked.done():
            with suppress(SamovarError):
                self._last = self._asked.result()
            self._asked = start(self._ask)
        return self._last


def firing(session: Session, environment: Environment, identity: Path | None = None) -> Callable[[], frozenset[str]]:
    """Return what reads the alerts that fire: none where nothing monitors the environment."""
    if environment.monitoring is None:
        return frozenset
    server = prometheus(session, environment, identity)
    return FiringAlerts(lambda: frozenset(map(_name, query(server, FIRING))))


def _name(series: Series) -> str:
    return " ".join(series.labels[label] for label in NAMES if series.labels.get(label))
