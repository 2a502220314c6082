from __future__ import annotations

import asyncio
import errno
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar.core.errors import HostError
from samovar.localcloud.network import probes
from samovar.localcloud.network.health_checks import (
    Health,
    HealthCheck,
    Prober,
    Result,
    Status,
    Target,
)
from samovar.localcloud.network.probes import LoopThread, probe, request

PASSED, FAILED = Result(passed=True, detail="HTTP 200"), Result(passed=False, detail="HTTP 500")
LOOPBACK = IPv4Address("127.0.0.1")


PROBE_TIMEOUT = 10.0


def check(
    port: int = 80, path: str | None = "/ping", unhealthy: int = 2, healthy: int = 2, timeout: float = PROBE_TIMEOUT
) -> HealthCheck:
    return HealthCheck("check", 0.05, timeout, unhealthy, healthy, port, path)


def after(results: list[Result], how: HealthCheck) -> Health:
    now = Health()
    for result in results:
        now = now.after(result, how)
    return now


def test_a_target_starts_initial_and_turns_after_as_many_results_as_the_threshold() -> None:
    how = check(healthy=3, unhealthy=2)
    assert after([PASSED, PASSED], how).status is Status.INITIAL
    assert after([PASSED] * 3, how).status is Status.HEALTHY
    assert after([PASSED] * 3 + [FAILED], how).status is Status.HEALTHY
    assert after([PASSED] * 3 + [FAILED] * 2, how).status is Status.UNHEALTHY
    assert after([FAILED] * 2, how).status is Status.UNHEALTHY


def test_a_contrary_result_resets_the_count() -> None:
    assert after([PASSED, FAILED, PASSED, FAILED, PASSED], check()).status is Status.INITIAL


@given(st.lists(st.booleans(), max_size=40), st.integers(2, 10), st.integers(2, 10))
def test_the_status_is_that_of_the_last_row_that_was_long_enough(
    passes: list[bool], healthy: int, unhealthy: int
) -> None:
    expected, row, last = Status.INITIAL, 0, None
    for passed in passes:
        row = row + 1 if passed is last else 1
        last = passed
        if row >= (healthy if passed else unhealthy):
            expected = Status.HEALTHY if passed else Status.UNHEALTHY
    results = [PASSED if passed else FAILED for passed in passes]
    assert after(results, check(healthy=healthy, unhealthy=unhealthy)).status is expected


@pytest.mark.parametrize(
    ("line", "passed"),
    [
        (b"HTTP/1.1 200 OK\r", True),
        (b"HTTP/1.0 200", True),
        (b"HTTP/1.1 2000 OK", False),
        (b"HTTP/1.1 204 No Content", False),
        (b"HTTP/1.1 301 Moved", False),
        (b"HTTP/1.1 500 Oops", False),
        (b"SSH-2.0-OpenSSH 200", False),
        (b"HTTP/1.1", False),
        (b"", False),
    ],
)
def test_http_passes_on_200_alone(line: bytes, passed: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert Result.of_status_line(line).passed is passed


@given(st.binary(max_size=200))
def test_any_bytes_get_a_verdict(line: bytes) -> None:
    assert isinstance(Result.of_status_line(line), Result)


def test_the_request_asks_for_no_kept_connection() -> None:
    assert request(IPv4Address("10.0.0.5"), 8080, "/ping?a=1") == (
        b"GET /ping?a=1 HTTP/1.1\r\nHost: 10.0.0.5:8080\r\nUser-Agent: samovar-healthcheck\r\nConnection: close\r\n\r\n"
    )


def on_loopback(_network: str, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    created = socket.socket(family, kind)
    created.setblocking(False)  # noqa: FBT003 - its only argument
    return created


@pytest.fixture(autouse=True)
def source_on_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "HEALTH_CHECKS", LOOPBACK)


@asynccontextmanager
async def server(answer: Callable[[], bytes | None]) -> AsyncIterator[int]:
    """Answer each request with what `answer` says, or after the probe gave up; the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            output = answer()
            if output is None:
                await reader.read()
            else:
                writer.write(output)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        await asyncio.sleep(0.05)  # the last connections end
        listening.close()


async def test_probe_results_name_the_answer() -> None:
    answers: list[bytes | None] = [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 503 No\r\n\r\n", b"", None]
    async with server(lambda: answers.pop(0)) as port:
        target, hurried = (Target("n", LOOPBACK, check(port, timeout=timeout)) for timeout in (PROBE_TIMEOUT, 0.3))
        results = [await probe(on_loopback, asked) for asked in (target, target, target, hurried)]
    assert results == [
        Result(passed=True, detail="HTTP 200", answered=True),
        Result(passed=False, detail="HTTP 503", answered=True),
        Result(passed=False, detail="no HTTP answer"),
        Result(passed=False, detail=f"no answer on port {port} within 0.3 s"),
    ]
    refused = await probe(on_loopback, Target("n", LOOPBACK, check(port, None)))
    assert refused == Result(passed=False, detail=f"port {port}: Connection refused")


async def test_a_tcp_check_passes_when_the_port_is_open() -> None:
    async with server(lambda: None) as port:
        assert (await probe(on_loopback, Target("n", LOOPBACK, check(port, None)))).passed


LACKING = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL]


@pytest.mark.parametrize("error", [*(OSError(number, "") for number in LACKING), HostError("network n is gone")])
async def test_an_error_of_this_host_gives_no_verdict(error: Exception) -> None:
    def lacking(*_: object) -> socket.socket:
        raise error

    result = await probe(lacking, Target("n", LOOPBACK, check()))
    assert result.passed is None
    assert result.detail.startswith("not probed: ")


def test_a_result_without_a_verdict_changes_no_health() -> None:
    lacking = Result(passed=None, detail="not probed: Too many open files")
    healthy, failing = after([PASSED, PASSED], check()), after([PASSED, PASSED, FAILED], check())
    assert after([PASSED, PASSED, *[lacking] * 9], check()) == replace(healthy, detail=lacking.detail)
    assert after([PASSED, PASSED, FAILED, *[lacking] * 9], check()) == replace(failing, detail=lacking.detail)
    assert after([PASSED, PASSED, FAILED, lacking, FAILED], check()).status is Status.UNHEALTHY


async def test_a_late_event_loop_gives_no_verdict() -> None:
    async with server(lambda: None) as port:
        asking = asyncio.create_task(probe(on_loopback, Target("n", LOOPBACK, check(port, timeout=0.2))))
        await asyncio.sleep(0.1)
        time.sleep(0.4)  # noqa: ASYNC251 - what is tested
        result = await asking
    assert result.passed is None
    assert "late" in result.detail


@contextmanager
def threaded_server() -> Iterator[int]:
    """A server that answers while this thread's loop stands still; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection:
                        connection.recv(1000)
                        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


async def test_a_probe_thread_is_on_time_while_the_daemon_loop_blocks() -> None:
    probes = LoopThread("probes")
    with threaded_server() as port:
        target = Target("n", LOOPBACK, check(port, timeout=3.0))
        asking = asyncio.create_task(probes.run(partial(probe, on_loopback, target)))
        await asyncio.sleep(0)
        _block(4.0)
        assert await asking == Result(passed=True, detail="HTTP 200", answered=True)
    await probes.close()


def _block(seconds: float) -> None:
    """Parse JSON of a MiB again and again: each parse keeps the interpreter's lock until it is done."""
    text, end = json.dumps([{"a": [1, 2, 3]}] * 60_000), time.monotonic() + seconds
    while time.monotonic() < end:
        json.loads(text)


async def test_a_cancelled_call_is_cancelled_in_the_thread_and_the_thread_ends() -> None:
    probes, cancelled = LoopThread("test-probes"), threading.Event()

    async def forever() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(probes.run(forever), 0.1)
    assert await asyncio.to_thread(cancelled.wait, PROBE_TIMEOUT)
    await probes.close()
    assert "test-probes" not in [thread.name for thread in threading.enumerate()]


async def test_a_defect_gives_no_verdict_and_ends_no_probe() -> None:
    reports, asked = Reports(), 0

    async def ask(_: Target) -> Result:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise RuntimeError("can't start new thread")
        return PASSED

    prober = Prober[str](ask, reports)
    prober.set_targets({"a": Target("n", LOOPBACK, check())})
    assert await reports.next() == ("a", Status.HEALTHY)
    await prober.close()


class Reports:
    """The changes that a prober reports, awaited one by one."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[str, Status]] = asyncio.Queue()

    def __call__(self, key: str, now: Health) -> None:
        self.queue.put_nowait((key, now.status))

    async def next(self) -> tuple[str, Status]:
        async with asyncio.timeout(PROBE_TIMEOUT):
            return await self.queue.get()


async def test_the_prober_reports_a_change_once_and_stops_with_its_target() -> None:
    reports, output, count = Reports(), b"HTTP/1.1 200 OK\r\n\r\n", 0

    def answer() -> bytes:
        nonlocal count
        count += 1
        return output

    prober = Prober[str](partial(probe, on_loopback), reports)
    async with server(answer) as port:
        targets = {"a": Target("n", LOOPBACK, check(port))}
        prober.set_targets(targets)
        assert await reports.next() == ("a", Status.HEALTHY)
        prober.set_targets(targets)
        output = b"HTTP/1.1 500 Oops\r\n\r\n"
        assert await reports.next() == ("a", Status.UNHEALTHY)
        assert prober.health("a").detail == "HTTP 500"
        prober.set_targets({})
        assert prober.health("a") == Health()
        await asyncio.sleep(0.1)
        last = count
        await asyncio.sleep(0.2)
        assert count == last
        assert reports.queue.empty()
    await prober.close()


async def test_a_changed_check_starts_initial_and_a_listener_that_fails_stops_no_probe() -> None:
    reports = Reports()

    def on_change(key: str, now: Health) -> None:
        reports(key, now)
        raise RuntimeError("a bug elsewhere")

    prober = Prober[str](partial(probe, on_loopback), on_change)
    async with server(lambda: b"HTTP/1.1 200 OK\r\n\r\n") as port:
        prober.set_targets({"a": Target("n", LOOPBACK, check(port))})
        assert await reports.next() == ("a", Status.HEALTHY)
        prober.set_targets({"a": Target("n", LOOPBACK, check(port, "/other"))})
        assert prober.health("a").status is Status.INITIAL
        assert await reports.next() == ("a", Status.HEALTHY)
        await prober.close()


async def test_a_healthy_target_is_healthy_until_its_check_fails() -> None:
    reports = Reports()
    prober = Prober[str](partial(probe, on_loopback), reports)
    async with server(lambda: b"HTTP/1.1 500 Oops\r\n\r\n") as port:
        prober.set_targets({"a": Target("n", LOOPBACK, check(port))}, healthy={"a"})
        assert prober.health("a").status is Status.HEALTHY
        assert await reports.next() == ("a", Status.UNHEALTHY)
        await prober.close()
