"""The load generator. It is an open model: requests leave by the clock, whether or not earlier ones were answered.

Latency counts from when a request was due, so that a stall, or a generator that falls behind, shows in the figures.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, cycle

from samovar.core.errors import ConfigError
from samovar.load.client import Answer, Client, Http1, Http2, Request, Target, Unanswered, Untrusted
from samovar.load.requests import Dataset, evenly, find_dataset, mixed, poisson, portion
from samovar.load.results import Outcome
from samovar.load.slo import failure, is_absent, succeeded
from samovar.project.load_profile import Flow, LoadProfile, Step

MAX_IN_FLIGHT = 2000
NOT_SENT = "not sent"
CERTIFICATE_TIMEOUT = 10.0
CLEANUP_ATTEMPTS = 3


@dataclass(frozen=True)
class Load:
    """A load to send: `rate` requests a second for at most `seconds`, the share `fresh` over new connections."""

    profile: LoadProfile
    targets: tuple[Target, ...]
    rate: float
    seconds: float
    fresh: float = 0.5
    http2: bool = False
    seed: int | None = None

    def arrivals(self) -> Iterator[tuple[float, Flow]]:
        """Yield when each flow begins, in seconds from the start, and the flow."""
        flows = self.profile.flows
        weights = {index: flow.share / len(flow.steps) for index, flow in enumerate(flows)}
        rate = self.rate * sum(weights.values()) / sum(flow.share for flow in flows)
        times = evenly(rate) if self.seed is None else poisson(rate, self.seed)
        return zip(times, (flows[index] for index in mixed(weights)), strict=True)


@dataclass(frozen=True)
class Created:
    """A thing that a flow has created: the request that removes it, and the captured value of its placeholder."""

    cleanup: str
    placeholder: str
    value: int | str

    def __str__(self) -> str:
        return self.cleanup.replace(f"{{{self.placeholder}}}", str(self.value))


@dataclass
class Run:
    """A load under way; `began` is on the loop's clock, `ended` in seconds from there.

    `waiting` has endpoint and due time of each request in flight; `created` what was not removed again.
    """

    began: float = 0.0
    ended: float = 0.0
    outcomes: list[Outcome] = field(default_factory=list)
    waiting: dict[int, tuple[str, float]] = field(default_factory=dict)
    created: set[Created] = field(default_factory=set)


Work = Callable[[Run], Awaitable[None]]


async def send_load(load: Load, run: Run, work: Work | None = None) -> None:
    """Send the load and wait for all answers, which `run` gathers. It ends early when `work` has ended.

    Raises CloudError if the service does not answer at all, ConfigError for a certificate that is not its own.
    """
    async with AsyncExitStack() as stack:
        opened: list[Client] = [Http2(target) if load.http2 else Http1(target) for target in load.targets]
        clients = [await stack.enter_async_context(client) for client in opened]
        await asyncio.gather(*map(_check_certificate, clients))
        sender = _Sender(load, run, clients, await find_dataset(clients[0], load.profile.ranges))
        try:
            await sender.run(work)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            await asyncio.shield(sender.clean_up())


class _Sender:
    """Sends one load."""

    def __init__(self, load: Load, run: Run, clients: list[Client], dataset: Dataset) -> None:
        self._load = load
        self._run = run
        self._dataset = dataset
        self._clients = cycle(clients)
        self._cleaner = clients[0]
        self._fresh = portion(load.fresh)
        self._now = asyncio.get_running_loop().time
        self._numbers = count()
        self._endpoints = {endpoint.request: endpoint for endpoint in load.profile.endpoints}

    async def run(self, work: Work | None) -> None:
        self._run.began = self._now()
        async with asyncio.TaskGroup() as group:
            scheduled = [group.create_task(self._send_flows(group)), group.create_task(self._send_sequential())]
            if work:
                await work(self._run)
            else:
                await asyncio.wait(scheduled)
            for task in scheduled:
                task.cancel()
        self._run.ended = self._now() - self._run.began

    async def clean_up(self) -> None:
        """Remove what flows have created and not removed themselves, because they failed or were interrupted."""
        for _ in range(CLEANUP_ATTEMPTS):
            await asyncio.gather(*map(self._remove, self._run.created))

    async def _remove(self, created: Created) -> None:
        request = self._dataset.request(self._endpoints[created.cleanup], {created.placeholder: created.value})
        with suppress(Unanswered):
            answer = await self._cleaner.send(request, fresh=True)
            if is_absent(answer) or succeeded(answer):
                self._run.created.discard(created)

    async def _send_flows(self, group: asyncio.TaskGroup) -> None:
        for due, flow in self._load.arrivals():
            if due >= self._load.seconds:
                return
            await asyncio.sleep(max(0.0, self._run.began + due - self._now()))
            group.create_task(self._send_flow(flow, due, next(self._clients)))

    async def _send_sequential(self) -> None:
        """Send the sequential requests. The next one leaves when it is due and the one before is answered."""
        sequential = self._load.profile.sequential
        for number, request in zip(count(), cycle(sequential.requests), strict=False):
            due = max(number * sequential.every, self._now() - self._run.began)
            if due >= self._load.seconds:
                return
            await asyncio.sleep(self._run.began + due - self._now())
            await self._send_step(Step(request=request), due, next(self._clients))

    async def _send_flow(self, flow: Flow, due: float, client: Client) -> None:
        """Send the steps one after another. A step that creates or removes something ends the flow if it fails."""
        created: Created | None = None
        for step in flow.steps:
            answer = await self._send_step(step, due, client, created)
            due = self._now() - self._run.began
            if answer and step.capture and (value := captured(step, answer)) is not None:
                created = Created(flow.cleanup or "", step.capture, value)
                if flow.cleanup:
                    self._run.created.add(created)
            elif answer and created and step.request == flow.cleanup:
                self._run.created.discard(created)
            elif not answer and (step.capture or step.request == flow.cleanup):
                return

    async def _send_step(self, step: Step, due: float, client: Client, created: Created | None = None) -> Answer | None:
        """Send one request and record its outcome; returns the answer if it is no failure."""
        if len(self._run.waiting) >= MAX_IN_FLIGHT:
            self._record(step, due, due, NOT_SENT)
            return None
        number, endpoint = next(self._numbers), self._endpoints[step.request]
        values: Mapping[str, int | str] = {created.placeholder: created.value} if created else {}
        self._run.waiting[number] = (step.request, due)
        sent, reason, answer = self._now() - self._run.began, "", None
        try:
            answer = await client.send(self._dataset.request(endpoint, values), fresh=next(self._fresh))
            seconds = self._now() - self._run.began - sent
            reason = failure(endpoint, step, answer, seconds, datetime.now(UTC)) or _lacks(step, answer)
        except Unanswered as error:
            reason = str(error)
        finally:
            del self._run.waiting[number]
        self._record(step, due, sent, reason)
        return None if reason else answer

    def _record(self, step: Step, due: float, sent: float, reason: str) -> None:
        end = self._now() - self._run.began
        self._run.outcomes.append(Outcome(step.request, due, sent - due, end - due, reason))


async def _check_certificate(client: Client) -> None:
    with suppress(Unanswered):
        try:
            await client.send(Request("GET", "/", CERTIFICATE_TIMEOUT), fresh=True)
        except Untrusted as error:
            raise ConfigError(
                f"its certificate cannot be verified: {error}", remedy="renew it, or give --insecure to accept any"
            ) from error


def _lacks(step: Step, answer: Answer) -> str:
    """Return why the answer lacks what the step captures; empty if it does not."""
    return f"without {step.capture}" if step.capture and captured(step, answer) is None else ""


def captured(step: Step, answer: Answer) -> int | str | None:
    """Return the field of the answer's JSON that the step captures; None if that is neither a number nor text."""
    try:
        value = json.loads(answer.body)[step.capture]
    except (ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, int | str) else None
