"""The events of an environment, from a rollout to a machine that its group replaces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

import pytest

from samovar.core.waiting import Pending, wait_for
from samovar.deploy.lock import holder, locked
from samovar.deploy.status import Unanswered
from samovar.drills.journal import Breakage, Journal
from samovar.ops import background_checks
from samovar.ops.events import Event, changes
from samovar.ops.watch import follow
from samovar.project.fault import FaultKind
from tests.support.checkout import environment
from tests.support.environments import changed
from tests.support.service import Service
from tests.support.simulated import RunningCloud

TIMEOUT = 120.0


@pytest.fixture(autouse=True)
def unanswered(monkeypatch: pytest.MonkeyPatch) -> list[Unanswered]:
    """Return the list of addresses that do not answer; nothing is asked, also not while the cloud ends."""
    given: list[Unanswered] = []
    monkeypatch.setattr(
        background_checks, "check_endpoints", lambda _, status: replace(status, unanswered=tuple(given))
    )
    return given


def texts_until(events: Iterator[tuple[Event, ...]], last: str) -> list[str]:
    """The words of the events of all readings up to the one with the last."""
    texts: list[str] = []

    def probe() -> list[str] | Pending:
        texts.extend(event.text for event in next(events))
        return texts if last in texts else Pending(str(texts[-5:]))

    return wait_for(last, probe, timeout=TIMEOUT, interval=0.0, ceiling=0.0)


def test_events_show_a_rollout_a_drill_and_the_replacement_of_a_machine(cloud: RunningCloud, tmp_path: Path) -> None:
    service, dev, journal = Service(cloud), environment("dev"), Journal("folder", "dev", tmp_path)
    readings = follow(service.session, dev, interval=0.1, broken=journal.in_words)
    first = next(readings)
    events = (changes(*pair) for pair in pairwise(chain((first,), readings)))
    with locked(service.session, "dev"):
        assert texts_until(events, f"dev: rollout began, of {holder()}")
        service.roll_out(dev)
    texts = texts_until(events, "dev: is not healthy -> healthy")
    assert "bingo: create 2: 2 of 2 machines" in texts
    assert "dev-bingo-1: for the balancer INITIAL -> HEALTHY" in texts

    journal.write([Breakage(FaultKind.KILL, "id", "dev-bingo-1")])
    assert texts_until(events, "dev: drill began: kill dev-bingo-1")
    journal.write([])
    service.session.cut_power(service.machine("dev-bingo-1").id)
    texts = texts_until(events, "dev: is not healthy -> healthy")
    image = service.names["bingo"]
    assert {f"dev-bingo-1: gone, of image {image}", "bingo: is healthy -> not healthy"} <= set(texts)
    assert any(text.startswith("bingo: dev-bingo-1: recreate: ") for text in texts)
    assert "dev: drill ended: kill dev-bingo-1" in texts
    assert not any("nginx" in text for text in texts)


def test_an_address_that_does_not_answer_makes_the_environment_not_healthy(
    cloud: RunningCloud, unanswered: list[Unanswered]
) -> None:
    service, dev = Service(cloud), environment("dev")
    edge = changed(dev, groups=(changed(dev.group("nginx"), upstreams={}),))
    readings = follow(service.session, edge, interval=0.1)
    first = next(readings)
    events = (changes(*pair) for pair in pairwise(chain((first,), readings)))
    service.roll_out(edge)
    texts_until(events, "dev: is not healthy -> healthy")
    url = next(readings).status.endpoints.all[0]
    unanswered.append(Unanswered(url, "does not answer from here: refused"))
    assert f"{url} does not answer from here: refused" in texts_until(events, "dev: is healthy -> not healthy")
    unanswered.clear()
    assert f"{url} answers again" in texts_until(events, "dev: is not healthy -> healthy")
