"""An open-model load: HTTP requests leave on schedule, whatever the answers do; from a network namespace if need be.

It needs neither a load profile nor the engine: what is measured must not be measured by itself.
"""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pyroute2 import netns as namespaces  # type: ignore[import-untyped]


@dataclass(frozen=True)
class Kind:
    """A kind of request; `body` makes it a POST, and `%d` in it becomes the request's number."""

    path: str = "/"
    body: str | None = None

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


@dataclass(frozen=True)
class Answer:
    """The outcome of a request. `due` is monotonic, `seconds` count from it; with status 0 there was no answer.

    The names of `headers` are in lower case. `error` is empty if the status is 200.
    """

    kind: Kind
    number: int
    due: float
    seconds: float
    status: int = 0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass
class HttpLoad:
    """The answers of a load so far."""

    answers: list[Answer] = field(default_factory=list)

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.error]

    @property
    def bodies(self) -> Counter[str]:
        return Counter(answer.body for answer in self.answers if not answer.error)

    @property
    def slowest(self) -> float:
        return max(answer.seconds for answer in self.answers)

    def of(self, kind: Kind) -> list[Answer]:
        return [answer for answer in self.answers if answer.kind == kind]

    def failures(self, kind: Kind) -> Counter[str]:
        """Count the failures of one kind, each by its error."""
        return Counter(answer.error for answer in self.of(kind) if answer.error)

    def summary(self, what: str) -> str:
        """Return one line for the output of a test."""
        kinds = dict.fromkeys(answer.kind for answer in self.answers)
        parts = [f"{k.method} {k.path}: {len(self.of(k))} sent, failed {dict(self.failures(k))}" for k in kinds]
        return f"{what}: {'; '.join(parts)}; slowest {self.slowest:.1f} s"


@contextmanager
def http_load(
    address: str,
    *kinds: Kind,
    rate: float = 50.0,
    limit: float = 300.0,
    timeout: float = 10.0,
    netns: str = "",
) -> Iterator[HttpLoad]:
    """Send `rate` requests a second, of each kind in turn, while the context lasts, `limit` seconds at most."""
    load, ended = HttpLoad(), threading.Event()
    schedule = _Schedule(address, kinds or (Kind(),), rate, limit, timeout, netns)
    thread = threading.Thread(target=schedule.run, args=(load, ended))
    thread.start()
    try:
        yield load
    finally:
        ended.set()
        thread.join()


def get(address: str, path: str = "/", timeout: float = 10.0) -> str:
    """Return the body of one request; raises OSError or HTTPException, AssertionError unless the status is 200."""
    status, body, _ = _send(address, Kind(path), 0, timeout)
    assert status == 200, status
    return body


@dataclass(frozen=True)
class _Schedule:
    address: str
    kinds: Sequence[Kind]
    rate: float
    limit: float
    timeout: float
    netns: str

    def run(self, load: HttpLoad, ended: threading.Event) -> None:
        """Send the requests. A thread enters a network namespace for itself and for those that it starts."""
        if self.netns:
            namespaces.setns(self.netns)
        began, threads = time.monotonic(), []
        for number, kind in zip(range(int(self.rate * self.limit)), itertools.cycle(self.kinds), strict=False):
            due = began + number / self.rate
            if ended.wait(max(0.0, due - time.monotonic())):
                break
            threads.append(threading.Thread(target=self._request, args=(kind, number, due, load)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _request(self, kind: Kind, number: int, due: float, load: HttpLoad) -> None:
        status, body, error, headers = 0, "", "", dict[str, str]()
        try:
            status, body, headers = _send(self.address, kind, number, self.timeout)
            error = "" if status == 200 else str(status)
        except (OSError, http.client.HTTPException) as failure:
            error = repr(failure)
        load.answers.append(Answer(kind, number, due, time.monotonic() - due, status, body, headers, error))


def _send(address: str, kind: Kind, number: int, timeout: float) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request(kind.method, kind.path, kind.body and kind.body % number)
        response = connection.getresponse()
        body = response.read().decode(errors="replace").strip()
        return response.status, body, {name.lower(): value for name, value in response.headers.items()}
    finally:
        connection.close()
