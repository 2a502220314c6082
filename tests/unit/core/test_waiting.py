"""Waiting: the answer as soon as it is there, or a deadline that names what was last seen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import pytest

from samovar.core.errors import ExitCode, WaitTimeout
from samovar.core.waiting import Pending, to_the_end, wait_for, wait_for_async


def answers(*values: str | Pending) -> Callable[[], str | Pending]:
    """A probe that gives one value after another, and the last one for ever."""
    left: Iterator[str | Pending] = iter(values)
    return lambda: next(left, values[-1])


def test_the_first_answer_is_returned_without_a_pause() -> None:
    began = time.monotonic()
    assert wait_for("it", answers("there"), timeout=5, interval=2) == "there"
    assert time.monotonic() - began < 0.5


def test_a_pending_probe_is_asked_again() -> None:
    probe = answers(Pending("CREATING"), Pending("STARTING"), "RUNNING")
    assert wait_for("the machine", probe, timeout=5, interval=0.01) == "RUNNING"


def test_a_false_result_ends_the_wait() -> None:
    assert wait_for("the count", lambda: 0, timeout=1) == 0
    assert wait_for("the error", lambda: None, timeout=1) is None


def test_a_timeout_names_the_goal_and_the_last_state() -> None:
    probe = answers(Pending("CREATING"), Pending("STARTING"))
    with pytest.raises(WaitTimeout) as caught:
        wait_for("machine nginx-1 to run", probe, timeout=0.2, interval=0.02, remedy="look at its console")
    assert caught.value.message == "timed out waiting for machine nginx-1 to run: not after 0.2 s; last seen: STARTING"
    assert caught.value.remedy == "look at its console"
    assert caught.value.code is ExitCode.TIMEOUT


def test_the_deadline_counts_from_the_last_progress() -> None:
    began = time.monotonic()
    probe = answers(*(Pending(str(number), after=0.1, progress=number) for number in range(8)))
    with pytest.raises(WaitTimeout, match=r"it: nothing new for 0\.3 s; last seen: 7"):
        wait_for("it", probe, timeout=0.3)
    assert 0.95 <= time.monotonic() - began < 5


@pytest.mark.parametrize("pending", [Pending("no"), Pending("no", after=30)], ids=["growing", "told"])
def test_no_pause_is_longer_than_the_time_left(pending: Pending) -> None:
    began = time.monotonic()
    with pytest.raises(WaitTimeout):
        wait_for("it", lambda: pending, timeout=0.3, interval=10, ceiling=10)
    assert 0.3 <= time.monotonic() - began < 1


def test_a_probe_can_set_the_next_pause() -> None:
    began = time.monotonic()
    assert wait_for("it", answers(Pending("no", after=0.2), "yes"), timeout=5, interval=0.001) == "yes"
    assert time.monotonic() - began >= 0.2


def test_an_error_of_the_probe_is_not_retried() -> None:
    asked: list[int] = []

    def broken() -> str | Pending:
        asked.append(1)
        raise LookupError("no such machine")

    with pytest.raises(LookupError):
        wait_for("it", broken, timeout=5)
    assert len(asked) == 1


async def test_the_loop_is_free_while_the_daemon_waits() -> None:
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(0.1, done.set)
    assert await wait_for_async("it", lambda: "set" if done.is_set() else Pending("unset"), timeout=5) == "set"


async def test_a_timeout_of_the_daemon_names_the_last_state() -> None:
    with pytest.raises(WaitTimeout, match=r"it: not after 0\.1 s; last seen: unset"):
        await wait_for_async("it", lambda: Pending("unset"), timeout=0.1, interval=0.02)


async def test_to_the_end_finishes_before_its_cancelled_caller_returns() -> None:
    ended: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.05)
        ended.append("whole")

    caller = asyncio.create_task(to_the_end(work()))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended == ["whole"]


async def test_to_the_end_returns_results_and_raises_errors() -> None:
    async def answer() -> int:
        return 7

    async def fail() -> None:
        raise OSError("no")

    assert await to_the_end(answer()) == 7
    with pytest.raises(OSError, match="no"):
        await to_the_end(fail())
