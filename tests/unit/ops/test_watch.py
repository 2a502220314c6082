"""A reading that fails does not end the watching."""

from __future__ import annotations

from typing import Any

import pytest

from samovar.core.errors import CloudError
from samovar.deploy.status import Status
from samovar.ops import watch
from samovar.ops.events import Reading


def test_a_failed_reading_repeats_the_last_one_with_the_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [Reading(1.0, Status("dev", ())), CloudError("no route"), Reading(3.0, Status("dev", ()))]

    def read(*_: object) -> Reading:
        answer = answers.pop(0)
        if isinstance(answer, CloudError):
            raise answer
        assert isinstance(answer, Reading)
        return answer

    monkeypatch.setattr(watch, "read", read)
    unused: Any = None
    readings = watch.follow(unused, unused, interval=0.0)
    assert [next(readings).failure for _ in range(3)] == [None, "no route", None]


def test_a_cloud_that_never_answered_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> Reading:
        raise CloudError("no route")

    monkeypatch.setattr(watch, "read", read)
    unused: Any = None
    with pytest.raises(CloudError):
        next(watch.follow(unused, unused))
