"""Records calls as a client really sent them: those that change something in a file, all of them for who follows."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from samovar.core.api_methods import is_read
from samovar.core.files import PRIVATE

LIMIT = 4 << 20
BACKLOG = 10_000
"""Events that wait for a follower who reads more slowly than calls come; what is above is left out."""


@dataclass(frozen=True)
class Event:
    """A call and its outcome; `time` is in seconds since 1970, `subject` is who called, `code` that of gRPC.

    `request_id` is the id that the answer carries as `x-request-id`, `client_request_id` what the caller sent as
    `x-client-request-id`. `message` is the error's.
    """

    time: float
    method: str
    subject: str
    code: str
    request_id: str = ""
    client_request_id: str = ""
    idempotency_key: str = ""
    message: str = ""


class AuditLog:
    """The file has one JSON object a line, an `Event`. One older file is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._followers: set[asyncio.Queue[Event | None]] = set()

    def note(self, event: Event) -> None:
        """Write one line, unless the call only reads; where that fails, the call goes on."""
        self._publish(event)
        if is_read(event.method):
            return
        with contextlib.suppress(OSError):
            self._rotate()
            with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE), "a") as file:
                file.write(json.dumps(asdict(event)) + "\n")

    def last(self, count: int) -> Iterator[Event]:
        """Yield the last events of the file, the oldest first; a line of an earlier version lacks some fields."""
        with contextlib.suppress(FileNotFoundError), self._path.open() as lines:
            for line in deque(lines, maxlen=count):
                with contextlib.suppress(ValueError, TypeError):  # a full disk tore it
                    yield Event(**json.loads(line))

    @contextlib.contextmanager
    def following(self) -> Iterator[asyncio.Queue[Event | None]]:
        """Give a queue that gets each event from now on, and None when no more come."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._followers.add(queue)
        try:
            yield queue
        finally:
            self._followers.discard(queue)

    def end_following(self) -> None:
        """End the queues of those who follow."""
        for queue in self._followers:
            queue.put_nowait(None)

    def _publish(self, event: Event) -> None:
        for queue in self._followers:
            if queue.qsize() < BACKLOG:
                queue.put_nowait(event)

    def _rotate(self) -> None:
        if self._path.exists() and self._path.stat().st_size > LIMIT:
            self._path.replace(self._path.with_suffix(".jsonl.1"))
