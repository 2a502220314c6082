"""The load generator. An open model: requests leave by the clock, whether or not the former ones were answered.

Latency counts from when a request was due, so that a stall, or a generator that falls behind, shows in the figures.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, cycle

from samovar.core.errors import CloudError, ConfigError
from samovar.load.arrivals import evenly, mixed, poisson, portion
from samovar.load.client import Answer, Client, Http1, Http2, Request, Target, Unanswered, Untrusted
from samovar.load.dataset import Rows, find_rows
from samovar.load.response_check import failure
from samovar.load.results import Outcome
from samovar.load.slo import CREATE, DELETE, GONE, LISTS_EVERY, OK, Endpoint, Flow, Profile, Step

MOST_IN_FLIGHT = 2000
NOT_SENT = "not sent"
TRUST_TIMEOUT = 10.0
CLEANING = 3
"""How often the rows that were left behind are tried to be deleted."""


@dataclass(frozen=True)
class Load:
    """What is sent: `rate` requests a second for at most `seconds`, `fresh` of them over a connection of their own."""

    profile: Profile
    targets: tuple[Target, ...]
    rate: float
    seconds: float
    fresh: float = 0.5
    http2: bool = False
    seed: int | None = None

    def arrivals(self) -> Iterator[tuple[float, Flow]]:
        """When each flow begins, and which."""
        weights = {flow: flow.share / len(flow.steps) for flow in self.profile.flows}
        rate = self.rate * sum(weights.values()) / sum(flow.share for flow in self.profile.flows)
        times = evenly(rate) if self.seed is None else poisson(rate, self.seed)
        return zip(times, mixed(weights), strict=True)


@dataclass
class Run:
    """What came back so far; `began` on the loop's clock.

    `waiting` are the endpoints that were asked and did not answer yet, with when they were due; `left` the rows that
    could not be deleted again.
    """

    began: float = 0.0
    ended: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    waiting: dict[int, tuple[str, float]] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)


Watch = Callable[[Run], Awaitable[None]]


async def send_load(load: Load, run: Run, work: Watch | None = None) -> None:
    """Sends the load and waits for all answers, which `run` gathers; ends early when `work` has ended.

    Raises CloudError where the service does not answer at all, and ConfigError for a certificate that is not its own.
    """
    async with AsyncExitStack() as stack:
        made: list[Client] = [Http2(target) if load.http2 else Http1(target) for target in load.targets]
        clients = [await stack.enter_async_context(client) for client in made]
        await asyncio.gather(*map(_trust, clients))
        rows = await find_rows(clients[0]) if load.profile.lists else Rows({})
        sender = _Sender(load, run, clients, rows)
        try:
            await sender.run(work)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            await asyncio.shield(sender.clean_up())


class _Sender:
    """One load under way."""

    def __init__(self, load: Load, run: Run, clients: list[Client], rows: Rows) -> None:
        self._load = load
        self._run = run
        self._rows = rows
        self._clients = cycle(clients)
        self._any = clients[0]
        self._fresh = portion(load.fresh)
        self._now = asyncio.get_running_loop().time
        self._numbers = count()

    async def run(self, work: Watch | None) -> None:
        self._run.began = self._now()
        async with asyncio.TaskGroup() as group:
            scheduled = [group.create_task(self._arrivals(group)), group.create_task(self._lists())]
            if work:
                await work(self._run)
            else:
                await asyncio.wait(scheduled)
            for task in scheduled:
                task.cancel()
        self._run.ended = self._now() - self._run.began

    async def clean_up(self) -> None:
        """Deletes the rows of writes whose own DELETE failed, or was interrupted."""
        for _ in range(CLEANING):
            await asyncio.gather(*map(self._delete, self._run.left))

    async def _delete(self, row: int) -> None:
        with suppress(Unanswered):
            answer = await self._any.send(self._rows.request(DELETE, row), fresh=True)
            if answer.status in (OK, GONE):
                self._run.left.discard(row)

    async def _arrivals(self, group: asyncio.TaskGroup) -> None:
        for due, flow in self._load.arrivals():
            if due >= self._load.seconds:
                return
            await asyncio.sleep(max(0.0, self._run.began + due - self._now()))
            group.create_task(self._flow(flow, due, next(self._clients)))

    async def _lists(self) -> None:
        """Each in its turn: the next one leaves when it is due and the former one is answered."""
        for number, endpoint in zip(count(), cycle(self._load.profile.lists), strict=False):
            due = max(number * LISTS_EVERY, self._now() - self._run.began)
            if due >= self._load.seconds:
                return
            await asyncio.sleep(self._run.began + due - self._now())
            await self._step(Step(endpoint), due, next(self._clients))

    async def _flow(self, flow: Flow, due: float, client: Client) -> None:
        row: int | None = None
        for step in flow.steps:
            answer = await self._step(step, due, client, row)
            due = self._now() - self._run.began
            if step.endpoint == CREATE and answer:
                row = _id(answer)
                self._run.left.add(row)
            elif step.endpoint == DELETE and answer and row:
                self._run.left.discard(row)
            elif step.endpoint in (CREATE, DELETE):
                return

    async def _step(self, step: Step, due: float, client: Client, row: int | None = None) -> Answer | None:
        """The answer, where it is one that keeps the terms."""
        if len(self._run.waiting) >= MOST_IN_FLIGHT:
            self._note(step.endpoint, due, due, NOT_SENT)
            return None
        number = next(self._numbers)
        self._run.waiting[number] = (step.endpoint.name, due)
        began, why, answer = self._now() - self._run.began, "", None
        try:
            answer = await client.send(self._rows.request(step.endpoint, row), fresh=next(self._fresh))
            why = failure(step, answer, self._now() - self._run.began - began, datetime.now(UTC))
        except Unanswered as error:
            why = str(error)
        finally:
            del self._run.waiting[number]
        self._note(step.endpoint, due, began, why)
        return None if why else answer

    def _note(self, endpoint: Endpoint, due: float, began: float, why: str) -> None:
        end = self._now() - self._run.began
        self._run.outcomes.append(Outcome(endpoint.name, due, began - due, end - due, why))


async def _trust(client: Client) -> None:
    with suppress(Unanswered):
        try:
            await client.send(Request("GET", "/", TRUST_TIMEOUT), fresh=True)
        except Untrusted as error:
            raise ConfigError(
                f"its certificate cannot be verified: {error}", remedy="renew it, or say --insecure to do without"
            ) from error


def _id(answer: Answer) -> int:
    try:
        return int(json.loads(answer.body)["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise CloudError(f"{CREATE.name} answers without an id: {answer.body[:100]!r}") from error
