"""The one way to wait: a probe is asked again until it succeeds or a deadline passes, which names the last state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TypedDict, TypeVar

from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_result, wait_exponential
from tenacity.retry import retry_base
from tenacity.stop import stop_base

from samovar.core.errors import WaitTimeout

T = TypeVar("T")


@dataclass(frozen=True)
class Pending:
    """A probe answers this while it must be asked again; `state` ends up in the message of a missed deadline.

    `after` (seconds) is when to ask again, where that is known. The deadline counts from when `progress` last changed.
    """

    state: str
    after: float | None = None
    progress: int = 0


class _Policy(TypedDict):
    """The arguments of tenacity's loops, with and without asyncio."""

    retry: retry_base
    wait: Callable[[RetryCallState], float]
    stop: stop_base
    retry_error_callback: Callable[[RetryCallState], object]


def wait_for(
    what: str,
    probe: Callable[[], T | Pending],
    *,
    timeout: float,
    interval: float = 0.1,
    ceiling: float = 1.0,
    remedy: str = "",
) -> T:
    """Return what `probe` returns as soon as that is no `Pending`.

    `what` follows "waiting for": "dev to get healthy", or "the end of ...". `interval` (seconds) doubles up to
    `ceiling`. Raises WaitTimeout after `timeout` seconds without progress.
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
) -> T:
    """Wait as `wait_for` does, in the daemon: between two probes its loop is free."""

    async def asked() -> T | Pending:
        return probe()

    result: T | Pending = await AsyncRetrying(**_policy(what, timeout, interval, ceiling))(asked)
    assert not isinstance(result, Pending)  # noqa: S101 - tells the type checker what `retry` guarantees
    return result


async def to_the_end(work: Coroutine[object, None, T]) -> T:
    """Return the result of `work`. A cancelled caller leaves only when it has ended, so that nothing is orphaned."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    finally:
        await asyncio.wait((task,))


class _Deadline(stop_base):
    """The deadline of one wait, in seconds since its last progress."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._progress, self._since = 0, 0.0

    @property
    def renewed(self) -> bool:
        return self._since > 0

    def __call__(self, retry_state: RetryCallState) -> bool:
        return self.left(retry_state) <= 0

    def left(self, call: RetryCallState) -> float:
        last, elapsed = call.outcome and call.outcome.result(), call.seconds_since_start or 0.0
        if isinstance(last, Pending) and last.progress != self._progress:
            self._progress, self._since = last.progress, elapsed
        return self._timeout - (elapsed - self._since)


def _policy(what: str, timeout: float, interval: float, ceiling: float, remedy: str = "") -> _Policy:
    def give_up(call: RetryCallState) -> object:
        last = call.outcome.result() if call.outcome else None
        state = last.state if isinstance(last, Pending) else "nothing"
        missed = "nothing new for" if deadline.renewed else "not after"
        raise WaitTimeout(f"timed out waiting for {what}: {missed} {timeout:g} s; last seen: {state}", remedy=remedy)

    deadline = _Deadline(timeout)
    growing = wait_exponential(multiplier=interval, max=ceiling)

    def pause(call: RetryCallState) -> float:
        last = call.outcome.result() if call.outcome else None
        requested = last.after if isinstance(last, Pending) else None
        return max(0.0, min(growing(call) if requested is None else requested, deadline.left(call)))

    return {
        "retry": retry_if_result(lambda value: isinstance(value, Pending)),
        "wait": pause,
        "stop": deadline,
        "retry_error_callback": give_up,
    }
