"""The metrics of an environment for its page, where a group monitors it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from samovar.cloud.session import Session
from samovar.dashboard.endpoint_panels import endpoint_graphs
from samovar.dashboard.panels import Graphs
from samovar.ops.metrics import prometheus
from samovar.project.environment import Environment


def measuring(session: Session, environment: Environment, identity: Path | None = None) -> Callable[[], Graphs]:
    """Return what reads the graphs by endpoint; they are a note alone where nothing monitors the environment."""
    if environment.monitoring is None:
        note = "There are no graphs by endpoint: this environment has no group that monitors it (docs/metrics.md)."
        return lambda: Graphs(note=note)
    server = prometheus(session, environment, identity)
    return lambda: endpoint_graphs(server, time.time())
