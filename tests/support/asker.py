"""Requests of several kinds at a steady rate, from within a network namespace: what came of each."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pyroute2 import netns as namespaces  # type: ignore[import-untyped]

TIMEOUT = 60.0
LONGEST = 300.0


@dataclass(frozen=True)
class Kind:
    """A request; `body` makes a POST of it, in which `%d` becomes its number."""

    path: str
    body: str | None = None

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


@dataclass(frozen=True)
class Came:
    """Seconds from when it was due; status 0 and the error where there was no answer."""

    kind: Kind
    number: int
    seconds: float
    status: int
    error: str = ""


@dataclass
class Asker:
    """What came back so far."""

    came: list[Came] = field(default_factory=list)

    def of(self, kind: Kind) -> list[Came]:
        return [each for each in self.came if each.kind == kind]

    def failed(self, kind: Kind) -> Counter[str]:
        return Counter(each.error or str(each.status) for each in self.of(kind) if each.status != 200)

    @property
    def stall(self) -> float:
        """The slowest of all, in seconds."""
        return max(each.seconds for each in self.came)

    def told(self, what: str) -> str:
        """One line for whoever reads the test's output."""
        kinds = dict.fromkeys(each.kind for each in self.came)
        parts = [f"{k.method} {k.path}: {len(self.of(k))} asked, failed {dict(self.failed(k))}" for k in kinds]
        return f"{what}: {'; '.join(parts)}; longest {self.stall:.1f} s"


@contextmanager
def asking(netns: str, address: str, kinds: Sequence[Kind], *, rate: float) -> Iterator[Asker]:
    """While the context lasts `rate` requests a second leave on their schedule, LONGEST seconds at most."""
    asker, ended = Asker(), threading.Event()
    thread = threading.Thread(target=_schedule, args=(netns, address, kinds, rate, asker, ended))
    thread.start()
    try:
        yield asker
    finally:
        ended.set()
        thread.join()


def _schedule(
    netns: str, address: str, kinds: Sequence[Kind], rate: float, asker: Asker, ended: threading.Event
) -> None:
    """A thread enters a network namespace for itself and for those that it starts."""
    namespaces.setns(netns)
    began, threads = time.monotonic(), []
    for number, kind in zip(range(int(rate * LONGEST)), itertools.cycle(kinds), strict=False):
        due = began + number / rate
        if ended.wait(max(0.0, due - time.monotonic())):
            break
        threads.append(threading.Thread(target=_ask, args=(address, kind, number, due, asker)))
        threads[-1].start()
    for thread in threads:
        thread.join()


def _ask(address: str, kind: Kind, number: int, due: float, asker: Asker) -> None:
    status, error = 0, ""
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
    try:
        connection.request(kind.method, kind.path, kind.body and kind.body % number)
        response = connection.getresponse()
        response.read()
        status = response.status
    except (OSError, http.client.HTTPException) as failure:
        error = type(failure).__name__
    finally:
        connection.close()
    asker.came.append(Came(kind, number, time.monotonic() - due, status, error))
