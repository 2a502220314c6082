"""Alerts are those of the last answer of Prometheus, and nobody waits for the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable

from samovar.core.errors import CloudError
from samovar.ops.alerts import FiringAlerts
from tests.support.wait import wait_until


def answering(*answers: frozenset[str] | Exception, then: Callable[[], None]) -> Callable[[], frozenset[str]]:
    left = list(answers)

    def ask() -> frozenset[str]:
        if not left:
            then()
            return frozenset()
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


def test_alerts_are_read_once_prometheus_answers_and_kept_while_it_does_not() -> None:
    released, hangs = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        released.wait(60)

    alerts = FiringAlerts(answering(frozenset({"MachineDown"}), CloudError("away"), then=hang))
    wait_until("an answer", lambda: alerts() == {"MachineDown"}, timeout=60)
    wait_until("it hangs", lambda: alerts() == {"MachineDown"} and hangs.is_set(), timeout=60)
    assert alerts() == {"MachineDown"}
    released.set()
    wait_until("the alert ended", lambda: alerts() == frozenset(), timeout=60)
