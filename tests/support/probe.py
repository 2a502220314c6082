"""A bounded open-model HTTP probe: requests leave on their schedule, whatever the answers do."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Answer:
    """One request's: when it was due and how long it took from then (seconds), and what came.

    The names of `headers` are in small letters.
    """

    due: float
    took: float
    body: str
    error: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Probe:
    """What came back so far."""

    answers: list[Answer] = field(default_factory=list)

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.error]

    @property
    def bodies(self) -> Counter[str]:
        return Counter(answer.body for answer in self.answers if not answer.error)


@contextmanager
def probing(
    address: str, path: str = "/", *, rate: float = 50.0, limit: float = 120.0, timeout: float = 10.0
) -> Iterator[Probe]:
    """Asks http://address/path `rate` times a second while the context lasts, `limit` seconds at most."""
    probe, ended = Probe(), threading.Event()
    thread = threading.Thread(target=_schedule, args=(address, path, rate, limit, timeout, probe, ended))
    thread.start()
    try:
        yield probe
    finally:
        ended.set()
        thread.join()


def get(address: str, path: str = "/", timeout: float = 10.0) -> str:
    """One request's body; raises OSError or http.client.HTTPException, and AssertionError unless it is a 200."""
    return _get(address, path, timeout)[0]


def _get(address: str, path: str, timeout: float) -> tuple[str, dict[str, str]]:
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode().strip()
    finally:
        connection.close()
    assert response.status == 200, response.status
    return body, {name.lower(): value for name, value in response.headers.items()}


def _schedule(
    address: str, path: str, rate: float, limit: float, timeout: float, probe: Probe, ended: threading.Event
) -> None:
    began = time.monotonic()
    requests = []
    for number in range(int(rate * limit)):
        due = began + number / rate
        if ended.wait(max(0.0, due - time.monotonic())):
            break
        requests.append(threading.Thread(target=_ask, args=(address, path, timeout, due, probe)))
        requests[-1].start()
    for request in requests:
        request.join()


def _ask(address: str, path: str, timeout: float, due: float, probe: Probe) -> None:
    body, error, headers = "", "", dict[str, str]()
    try:
        body, headers = _get(address, path, timeout)
    except (OSError, http.client.HTTPException, AssertionError) as failure:
        error = repr(failure)
    probe.answers.append(Answer(due, time.monotonic() - due, body, error, headers))
