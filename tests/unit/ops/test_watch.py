"""A reading that fails, or does not come, does not end the watching."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from samovar.core.errors import CloudError
from samovar.core.waiting import Pending, wait_for
from samovar.deploy.status import GroupStatus, MachineStatus, Status
from samovar.ops import watch
from samovar.ops.events import Reading
from samovar.ops.watch import Readings

ILL = MachineStatus("dev-web-1", "a", "10.0.0.3", "CHECKING_HEALTH", "one", None, message="no disk 7", id="a")
FIRST, SECOND = Reading(1.0, Status("dev", ())), Reading(3.0, Status("dev", ()))


def answers(*given: Reading | CloudError) -> Callable[[], Reading]:
    left = iter(given)

    def read() -> Reading:
        answer = next(left)
        if isinstance(answer, CloudError):
            raise answer
        return answer

    return read


def test_a_failed_reading_repeats_the_last_one_with_the_failure_and_its_age() -> None:
    readings = Readings(answers(FIRST, CloudError("no route"), CloudError("no route"), SECOND))
    actual = [readings.next() for _ in range(4)]
    assert [each.failure for each in actual] == [None, "no route", "no route", None]
    assert [each.answered for each in actual] == [None, 1.0, 1.0, None]
    assert actual[2].time > actual[0].time


def test_a_cloud_that_never_answered_is_an_error() -> None:
    with pytest.raises(CloudError):
        Readings(answers(CloudError("no route"))).next()


@pytest.fixture
def thawed() -> Iterator[threading.Event]:
    """Set for a cloud that answers again."""
    event = threading.Event()
    yield event
    event.set()


def test_a_reading_that_does_not_come_is_a_failure_in_time_and_awaited_all_the_same(
    monkeypatch: pytest.MonkeyPatch, thawed: threading.Event
) -> None:
    """A daemon that is stopped answers no call, and refuses none."""
    monkeypatch.setattr(watch, "LATE", 0.1)
    calls: list[float] = []

    def read() -> Reading:
        calls.append(0.0)
        if len(calls) > 1:
            thawed.wait()
        return FIRST if len(calls) == 1 else SECOND

    readings = Readings(read)
    assert readings.next() == FIRST
    for _ in range(3):
        late = readings.next()
        assert (late.failure, late.answered) == ("no answer within 0.1 s", 1.0)
    assert len(calls) == 2
    thawed.set()
    wait_for("the reading", lambda: readings.next() == SECOND or Pending("late"), timeout=5)


def test_a_reading_has_the_messages_before_it() -> None:
    ill = Reading(1.0, Status("dev", (GroupStatus("web", 1, "one", (ILL,), "group"),)))
    readings = Readings(answers(ill, ill))
    assert readings.next().messages == frozenset()
    assert readings.next().messages == {("a", "no disk ")}


def test_readings_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "read", lambda *_: FIRST)
    unused: Any = None
    readings = watch.follow(unused, unused, interval=0.0)
    assert [next(readings), next(readings)] == [FIRST, FIRST]
