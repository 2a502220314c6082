"""Open-model load: requests are sent by the clock, whether or not the former ones were answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp

TIMEOUT = 5.0
"""Seconds after which a request has failed."""


@dataclass(frozen=True)
class Outcome:
    """One request: when it was sent, how long it took (both in seconds), and why it failed, if it did."""

    sent: float
    seconds: float
    failure: str = ""


@dataclass
class Load:
    """What came of the requests so far."""

    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.failure]

    @property
    def worst(self) -> float:
        """The longest answer in seconds."""
        return max((outcome.seconds for outcome in self.outcomes), default=0.0)


async def load_while(url: str, rate: float, work: Callable[[], Awaitable[None]]) -> Load:
    """Sends `rate` requests a second to `url` until `work` has ended; waits for all answers."""
    load = Load()
    connector = aiohttp.TCPConnector(limit=0, force_close=True)  # each request is a flow of its own, as users are
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(TIMEOUT)) as client:
        ends = asyncio.ensure_future(work())
        sent: list[asyncio.Task[None]] = []
        began = time.monotonic()
        while not ends.done():
            sent.append(asyncio.create_task(_send(client, url, load)))
            await asyncio.sleep(max(0.0, began + len(sent) / rate - time.monotonic()))
        await asyncio.gather(*sent)
        await ends
    return load


async def _send(client: aiohttp.ClientSession, url: str, load: Load) -> None:
    began, failure = time.monotonic(), ""
    try:
        async with client.get(url, allow_redirects=False) as answer:
            await answer.read()
            if answer.status >= 400:  # noqa: PLR2004 - from here on HTTP speaks of errors
                failure = f"HTTP {answer.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        failure = type(error).__name__
    load.outcomes.append(Outcome(began, time.monotonic() - began, failure))
