"""The one way to wait: a probe asked again until it holds, a deadline, and a name for what was last seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_result, stop_after_delay, wait_exponential

from samovar.core.errors import WaitTimeout

T = TypeVar("T")


@dataclass(frozen=True)
class Pending:
    """What a probe answers while it must be asked again; `seen` ends up in the message of a missed deadline.

    `after` (seconds) is when to ask again, where the other side has said so.
    """

    seen: str
    after: float | None = None


def wait_for(
    what: str,
    probe: Callable[[], T | Pending],
    *,
    timeout: float,
    interval: float = 0.1,
    ceiling: float = 1.0,
    remedy: str = "",
) -> T:
    """Returns what `probe` returns as soon as that is no `Pending`.

    `interval` (seconds) doubles up to `ceiling`. Raises WaitTimeout after `timeout` seconds.
    """
    retrying = Retrying(**_policy(what, timeout, interval, ceiling, remedy))
    result: T | Pending = retrying(probe)
    assert not isinstance(result, Pending)  # noqa: S101 - tells the type checker what `retry` guarantees
    return result


async def wait_for_async(
    what: str,
    probe: Callable[[], T | Pending],
    *,
    timeout: float,
    interval: float = 0.1,
    ceiling: float = 1.0,
    remedy: str = "",
) -> T:
    """The same for the daemon: between two probes its loop is free."""

    async def asked() -> T | Pending:
        return probe()

    result: T | Pending = await AsyncRetrying(**_policy(what, timeout, interval, ceiling, remedy))(asked)
    assert not isinstance(result, Pending)  # noqa: S101 - tells the type checker what `retry` guarantees
    return result


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. A cancelled caller leaves only once it is over: nothing that it made is without an owner."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    finally:
        await asyncio.wait((task,))


def _policy(what: str, timeout: float, interval: float, ceiling: float, remedy: str) -> dict[str, Any]:
    def give_up(state: RetryCallState) -> object:
        last = state.outcome.result() if state.outcome else None
        seen = last.seen if isinstance(last, Pending) else "nothing"
        raise WaitTimeout(f"{what}: not after {timeout:g} s; last seen: {seen}", remedy=remedy)

    growing = wait_exponential(multiplier=interval, max=ceiling)

    def pause(state: RetryCallState) -> float:
        last = state.outcome.result() if state.outcome else None
        told = last.after if isinstance(last, Pending) else None
        left = timeout - (state.seconds_since_start or 0.0)
        return max(0.0, min(growing(state) if told is None else told, left))

    return {
        "retry": retry_if_result(lambda value: isinstance(value, Pending)),
        "wait": pause,
        "stop": stop_after_delay(timeout),
        "retry_error_callback": give_up,
    }
