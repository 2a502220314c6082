"""Listening sockets whose connections are bounded, in number and in time."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from samovar.localcloud.sockets import connections, listener
from samovar.localcloud.sockets.connections import ROOT, Connections, Source, source_of, user_of
from samovar.localcloud.sockets.listener import LimitedLog, Listener
from tests.support.https import make_certificate

TIMEOUT = 10.0
MACHINE = Source("net 10.0.0.5", 4)


@asynccontextmanager
async def serving(bound: Connections, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, int]]:
    """A service over HTTP that takes a second for /slow; its address."""

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(request.path == "/slow")
        return web.Response(text="hello")

    app = web.Application(middlewares=[bound.middleware])
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    address = sock.getsockname()
    listening = Listener(sock, runner.server, bound, tls=tls)
    listening.start()
    try:
        yield address
    finally:
        await listening.stop()
        await runner.cleanup()


async def ask(address: tuple[str, int], path: str = "/") -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    try:
        return await asyncio.wait_for(reader.read(), TIMEOUT)
    finally:
        writer.close()


async def end_of(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bool:
    """Return whether the connection ends by itself; a reset is an end, too."""
    reader, writer = streams
    try:
        return await asyncio.wait_for(reader.read(1), TIMEOUT) == b""
    except ConnectionError:
        return True
    finally:
        writer.close()


async def is_refused(address: tuple[str, int]) -> bool:
    try:
        return await end_of(await asyncio.open_connection(*address))
    except ConnectionError:
        return True


@pytest.fixture
def as_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "source_of", lambda *_: MACHINE)


@pytest.mark.usefixtures("as_machine")
async def test_a_source_has_so_many_connections_and_what_it_closes_is_free_again() -> None:
    bound = Connections(total=100)
    async with serving(bound) as address:
        held = [await asyncio.open_connection(*address) for _ in range(MACHINE.limit)]
        await asyncio.sleep(0.05)
        with capture_logs() as logs:
            for _ in range(20):
                assert await is_refused(address)
        assert [line["event"] for line in logs] == ["too many connections"]
        for _, writer in held:
            writer.close()
        await asyncio.sleep(0.1)
        assert (await ask(address)).endswith(b"hello")


@pytest.mark.usefixtures("as_machine")
async def test_a_connection_without_a_request_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "FIRST_REQUEST", 0.3)
    async with serving(Connections(total=100)) as address:
        silent, half = [await asyncio.open_connection(*address) for _ in range(2)]
        half[1].write(b"GET / HTTP/1.1\r\nHost: ")
        slow = asyncio.create_task(ask(address, "/slow"))
        began = time.monotonic()
        assert await end_of(silent)
        assert await end_of(half)
        assert time.monotonic() - began < TIMEOUT / 2
        assert (await slow).endswith(b"hello")


async def test_a_silent_tls_client_is_cut_after_the_handshake_timeout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE", 0.3)
    certificate = make_certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, certificate.with_name("key.pem"))
    bound = Connections(total=2)
    async with serving(bound, tls) as address:
        assert await end_of(await asyncio.open_connection(*address))
        assert await end_of(await asyncio.open_connection(*address)), "its place is free again"


async def test_a_lack_of_descriptors_is_logged_once_a_second_and_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "PAUSE", 0.05)
    lacking = True
    accept = socket.socket.accept

    def failing(sock: socket.socket) -> object:
        if lacking:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return accept(sock)

    async with serving(Connections(total=100)) as address:
        monkeypatch.setattr(socket.socket, "accept", failing)
        with capture_logs() as logs:
            asking = asyncio.create_task(ask(address))
            await asyncio.sleep(0.5)
            lacking = False
            assert (await asking).endswith(b"hello")
    assert len(logs) == 1


def test_a_part_of_the_total_is_roots_alone() -> None:
    bound = Connections(total=8)
    users = [Source(f"uid {1000 + number}", 128) for number in range(8)]
    assert [bound.enter(user) for user in users] == [True] * 6 + [False] * 2
    root = Source(ROOT, 128)
    assert [bound.enter(root) for _ in range(3)] == [True, True, False]
    bound.leave(users[0])
    assert [bound.enter(users[0]), bound.enter(root)] == [False, True]


def test_no_source_has_more_than_half_of_a_small_total() -> None:
    bound = Connections(total=8)
    assert [bound.enter(Source("uid 1000", 128)) for _ in range(5)] == [True] * 4 + [False]


@pytest.fixture
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        client = stack.enter_context(socket.create_connection(server.getsockname()))
        yield client, stack.enter_context(server.accept()[0])


def test_the_user_of_a_local_connection_is_determined(connected: tuple[socket.socket, socket.socket]) -> None:
    client, server = connected
    local, peer = server.getsockname(), server.getpeername()
    assert user_of(peer, local) == os.getuid()
    assert source_of(local, peer) == Source(f"uid {os.getuid()}", connections.BY_USER)
    assert user_of(("127.0.0.1", 1), ("127.0.0.1", 1)) is None
    assert source_of(("10.0.0.1", 80), ("10.0.0.5", 3000), "net") == Source("net 10.0.0.5", connections.BY_MACHINE)
    client.close()


def test_the_soft_limit_is_raised_to_the_hard_one_and_shared() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (800, before[1]))
        assert connections.share() == 100
        assert connections.raise_limit() == before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
        assert connections.share() <= connections.LARGEST_SHARE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_an_event_without_end_is_logged_once_a_period_with_the_number_left_out() -> None:
    limited = LimitedLog(period=0.2)
    with capture_logs() as logs:
        for _ in range(1000):
            limited.warning("flood", source="a")
        limited.warning("another")
        threading.Event().wait(0.25)
        limited.warning("flood", source="b")
    assert [(line["event"], line.get("left_out")) for line in logs] == [
        ("flood", None),
        ("another", None),
        ("flood", 999),
    ]
