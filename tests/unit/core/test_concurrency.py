"""Calls in the background: one at a time, and what one raises is raised where its answer is taken."""

from __future__ import annotations

import pytest

from samovar.core.concurrency import Background
from samovar.core.errors import CloudError
from samovar.core.waiting import Pending, wait_for


def fail() -> int:
    raise CloudError("no route")


def test_an_error_of_a_call_is_raised_where_its_answer_is_taken() -> None:
    background = Background[int](wait_for_first=True)
    with pytest.raises(CloudError, match="no route"):
        background.answer(fail)
    with pytest.raises(CloudError, match="no route"):
        wait_for("the second failure", lambda: background.answer(lambda: 1) or Pending("none"), timeout=5)
    assert wait_for("an answer", lambda: background.answer(lambda: 1) or Pending("none"), timeout=5) == 1


def test_the_first_call_is_waited_for_only_where_that_is_asked() -> None:
    assert Background[int](60.0, wait_for_first=True).answer(lambda: 1) == 1
    later = Background[int](60.0)
    assert later.answer(lambda: 1) is None
    assert wait_for("an answer", lambda: later.answer(fail) or Pending("none"), timeout=5) == 1
    assert later.answer(fail) is None
