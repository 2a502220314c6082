"""Scenarios of the cache of an edge: spellings of one path, writes, strange requests, and what outlasts an answer."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from typing import Any

from tests.support.edge_lab import (
    SETTINGS,
    Load,
    Result,
    Server,
    StubBingo,
    ask,
    configure,
    in_background,
    wait_until,
)

SPELLINGS = [
    "/long_dummy",
    "//long_dummy",
    "/x/../long_dummy",
    "/long%5Fdummy",
    "/./long_dummy",
    "/long_dummy?evil=1",
    "/long_dummy/",
    "/%6c%6Fng_dummy",
    "/long_dummy#there",
    "http://elsewhere/long_dummy",
    "http://elsewhere//long_dummy/?a",
]


def shared_answer(headers: list[str], others: list[str]) -> Result:
    result: Result = {}
    _start()
    result["first"] = _status(_send("//long_dummy/?evil=1", "GET", *headers))
    answers = [_send(each, "GET", "Accept-Encoding: gzip") for each in SPELLINGS]
    result["hits"] = ["x-cache: hit" in answer.lower() for answer in answers]
    result["bodies"] = len({answer.partition("\r\n\r\n")[2] for answer in answers})
    result["head"] = [_status(_send("/long_dummy", "HEAD"))]
    result["others"] = [_status(_send(each)) for each in others]
    result["seen"] = StubBingo.requests
    result["headers"] = [sorted(name.lower() for name in received) for received in StubBingo.request_headers[:1]]
    return result


def other_pages() -> Result:
    result: Result = {}
    _start()
    result["pages"] = [json.loads(ask(path)[1])[2] for path in ("/other", "/other", "/long_dummy_", "/long_dummy_")]
    result["cached"] = ["x-cache" in ask(path)[2] for path in ("/other", "/long_dummy_", "/api/movie")]
    result["long"] = [ask("/long_dummy")[1] for _ in range(2)]
    return result


def writes() -> Result:
    result: Result = {}
    _start()
    StubBingo.long = 3
    writes = [in_background(path, "POST") for path in ("/long_dummy", "/long_dummy/", "//long_dummy?a") * 7]
    time.sleep(0.5)
    began = time.monotonic()
    result["status"] = ask("/long_dummy")[0]
    result["waited"] = time.monotonic() - began
    result["writes"] = [[status, headers.get("allow")] for status, _, headers in (write() for write in writes)]
    result["seen"] = StubBingo.requests
    return result


def strange_requests(headers: list[str]) -> Result:
    result: Result = {}
    _start()
    StubBingo.long = 4
    subprocess.Popen(["/usr/lib/samovar/edge/warm.sh"])
    wait_until(lambda: bool(StubBingo.fetches))
    strange: list[threading.Thread] = []
    end = time.monotonic() + 70

    def attack() -> None:
        number = 0
        while time.monotonic() < end:
            number += 1
            method = "POST" if number % 10 == 0 else "GET"
            target, header = SPELLINGS[number % len(SPELLINGS)], headers[number % len(headers)]
            strange.append(threading.Thread(target=_send, args=(target, method, header)))
            strange[-1].start()
            time.sleep(0.1)

    attacking = threading.Thread(target=attack)
    attacking.start()
    load = Load("/long_dummy", rate=2)
    attacking.join()
    result["load"] = load.ended()
    result["fetches"] = len(StubBingo.fetches)
    return result


def long_dummy() -> Result:
    result: Result = {}
    _start()
    began = time.monotonic()
    answers: list[list[Any]] = []

    def client() -> None:
        asked = time.monotonic() - began
        status, body, headers = ask("/long_dummy", timeout=90)
        answers.append([asked, time.monotonic() - began - asked, status, time.time() - json.loads(body)[2], headers])

    def clients(number: int) -> list[threading.Thread]:
        threads = [threading.Thread(target=client) for _ in range(number)]
        for thread in threads:
            thread.start()
        return threads

    for thread in clients(20):
        thread.join()
    result["at_once"] = [[answer[2] for answer in answers], StubBingo.requests.count("balancer GET /long_dummy")]
    answers.clear()
    StubBingo.long = 45
    threads: list[threading.Thread] = []
    while time.monotonic() < began + 63:
        threads += clients(2)
        time.sleep(0.3)
    for thread in threads:
        thread.join()
    result["answers"] = answers
    result["fetched"] = StubBingo.requests.count("balancer GET /long_dummy")
    result["ping"] = len({ask("/ping")[1] for _ in range(3)})
    result["others"] = len({ask(f"/api/movie/{index % 2}")[1] for index in range(4)}) == 4
    return result


def warm_without_clients() -> Result:
    result: Result = {}
    _start()
    StubBingo.long = 25
    subprocess.Popen(["/usr/lib/samovar/edge/warm.sh"])
    time.sleep(100)
    began = time.monotonic()
    status, body, headers = ask("/long_dummy", timeout=90)
    result["answer"] = [status, time.monotonic() - began, time.time() - json.loads(body)[2], int(headers["age"])]
    result["fetches"] = StubBingo.fetches
    return result


def _start() -> None:
    Server("balancer", "127.0.0.2", 81)
    configure(SETTINGS)


def _send(target: str, method: str = "GET", *headers: str) -> str:
    """Send a request with that target as it is written, and return the answer."""
    head = "".join(f"{header}\r\n" for header in ("Host: a", "Connection: close", *headers))
    with socket.create_connection(("127.0.0.1", 80), 90) as connection:
        connection.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode())
        return connection.makefile("rb").read().decode()


def _status(answer: str) -> int:
    return int(answer.split()[1])
