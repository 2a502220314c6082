"""Tells viewers of the page what is new: the last reading, events, graphs. One thread reads for all of them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from samovar.core.concurrency import start
from samovar.core.output import to_plain
from samovar.dashboard.panels import Graphs, HealthyMachines
from samovar.dashboard.render import View, render
from samovar.ops.events import Event, Reading, changes, history
from samovar.project.environment import Environment

EVENTS = 500
"""The most events that are kept, and the most that a new viewer gets."""
BEGINNING = 100
"""The records of the groups' logs that the events begin with."""


@dataclass
class Viewer:
    """Counts the events that one viewer has got, and keeps the texts of its last messages by their kind."""

    events: int
    texts: dict[str, str]


class Feed:
    """The environment as it was last read. `readings` and `measure`, which returns graphs, block: they have threads."""

    def __init__(self, environment: Environment, readings: Iterator[Reading], measure: Callable[[], Graphs]) -> None:
        self._environment = environment
        self._readings = readings
        self._measure = measure
        self._healthy = HealthyMachines()
        self._measured = Graphs()
        self._events = deque[Event](maxlen=EVENTS)
        self._count = 0
        self._reading: Reading | None = None
        self._views: dict[bool, tuple[Reading, View]] = {}
        self._changed = asyncio.Condition()

    async def read(self) -> None:
        """Take in readings for as long as there are any."""
        while (reading := await asyncio.wrap_future(start(partial(next, self._readings, None)))) is not None:
            self._add(reading)
            async with self._changed:
                self._changed.notify_all()

    async def measure(self, interval: float) -> None:
        """Take in graphs, time and again."""
        while True:
            self._measured = await asyncio.wrap_future(start(self._measure))
            await asyncio.sleep(interval)

    async def messages(self, *, tall: bool) -> AsyncIterator[str]:
        """Yield what a new viewer has to know, and then what is new at each reading, as server-sent events."""
        viewer = Viewer(self._count - len(self._events), {})
        while True:
            yield "".join(self._news(viewer, tall=tall)) or ": nothing new\n\n"
            async with self._changed:
                await self._changed.wait()

    def _add(self, reading: Reading) -> None:
        events = changes(self._reading, reading) if self._reading else history(reading, BEGINNING)
        self._events.extend(events)
        self._count += len(events)
        self._reading = reading
        self._healthy.add(reading)

    def _news(self, viewer: Viewer, *, tall: bool) -> Iterator[str]:
        if self._reading is None:
            return
        fresh = self._count - viewer.events
        if fresh:
            viewer.events = self._count
            yield _message("events", json.dumps([_shown(event) for event in list(self._events)[-fresh:]]))
        for kind, value in (
            ("view", self._view(self._reading, tall=tall)),
            ("healthy", Graphs(self._healthy.panels(self._reading.time))),
            ("measured", self._measured),
        ):
            text = json.dumps(to_plain(value))
            if viewer.texts.get(kind) != text:
                viewer.texts[kind] = text
                yield _message(kind, text)

    def _view(self, reading: Reading, *, tall: bool) -> View:
        """Return the parts of the page; those that show something that changed are rendered anew."""
        now = replace(reading, time=0.0, records=frozenset(), messages=frozenset())
        before, view = self._views.get(tall, (None, None))
        if view is None or before != now:
            view = render(self._environment, reading, tall=tall)
            self._views[tall] = now, view
        return view


def _shown(event: Event) -> dict[str, object]:
    return {"time": event.time, "subject": event.subject, "after": event.after, "text": event.text}


def _message(kind: str, text: str) -> str:
    return f"event: {kind}\ndata: {text}\n\n"
