"""Load by the clock, sent to an environment's own address alone."""

from __future__ import annotations

import asyncio
import http.server
import threading
import time
from collections.abc import Iterator

import pytest

from drills.kill import Report, own_address
from drills.load import Load, Outcome, load_while
from groups.status import Status
from kit.errors import ConfigError

HERE = Status("dev", (), (("http", "http://127.66.2.1/"), ("https", "https://127.66.2.1/")))


class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(0.5)
        self.send_response(500 if self.path == "/broken" else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def slow() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def one_second() -> None:
    await asyncio.sleep(1)


def test_slow_answers_do_not_slow_the_questions(slow: str) -> None:
    load = asyncio.run(load_while(f"{slow}/", 20, one_second))
    assert 15 <= len(load.outcomes) <= 21
    assert (load.failed, load.worst >= 0.5) == ([], True)


def test_an_error_is_a_failure_that_bears_its_name(slow: str) -> None:
    load = asyncio.run(load_while(f"{slow}/broken", 5, one_second))
    assert {outcome.failure for outcome in load.failed} == {"HTTP 500"}
    assert len(load.failed) == len(load.outcomes)


def test_nobody_there_is_a_failure_too() -> None:
    load = asyncio.run(load_while("http://127.0.0.1:1/", 5, one_second))
    assert {outcome.failure for outcome in load.failed} == {"ClientConnectorError"}


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://127.66.2.10/", "http://127.66.2.1.example.org/"])
def test_load_goes_to_nobody_elses_address(url: str) -> None:
    with pytest.raises(ConfigError, match="no address of dev"):
        own_address(HERE, url)


def test_its_own_address_is_the_default_and_may_have_a_path() -> None:
    assert own_address(HERE, None) == "http://127.66.2.1/"
    assert own_address(HERE, "https://127.66.2.1/long_dummy") == "https://127.66.2.1/long_dummy"
    with pytest.raises(ConfigError, match="no address to send to"):
        own_address(Status("dev", ()), None)


def test_the_report_counts_failures_by_name() -> None:
    load = Load(
        [Outcome(0, 0.1), Outcome(0, 5, "TimeoutError"), Outcome(1, 0.2, "HTTP 500"), Outcome(1, 1, "HTTP 500")]
    )
    found = Report("dev", "dev-nginx-1", "http://127.66.2.1/", 50, 0.2, 7.123, load).to_json()
    assert (found["requests"], found["failed"], found["worst_seconds"]) == (4, 3, 5)
    assert found["failures"] == {"TimeoutError": 1, "HTTP 500": 2}
    assert found["seconds_until_whole"] == 7.12
