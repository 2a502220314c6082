"""The rate that the load generator itself reaches on this machine, against a server that does nothing."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from samovar.load.client import Target
from samovar.load.generator import Load, Run, send_load
from samovar.load.results import lateness
from tests.bench.figure import Figure
from tests.bench.promises.world import World
from tests.support.environments import page_profile

RATES = (120.0, 500.0)
SECONDS = 10.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npong"


def generator(_: World) -> Iterator[Figure]:
    """Half of the connections are new."""
    with _trivial() as target:
        for rate in RATES:
            began, run = time.process_time(), Run()
            asyncio.run(send_load(Load(page_profile("generator", rate), (target,), rate, SECONDS), run))
            each = (time.process_time() - began) / len(run.outcomes)
            late, failed = lateness(run.outcomes) * 1000, sum(bool(outcome.failure) for outcome in run.outcomes)
            cost = f"{each * 1000:.2f} ms of a processor each, so {1 / each:.0f}/s a core"
            what = f"the load generator alone, at {rate:.0f} a second on loopback"
            yield Figure(what, f"{cost}; 99 of 100 less than {late:.0f} ms late; {failed} failed")


@contextmanager
def _trivial() -> Iterator[Target]:
    """Yield a trivial server on loopback, in a process of its own."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(listening,), daemon=True)
    process.start()
    try:
        yield Target(f"http://127.0.0.1:{listening.getsockname()[1]}")
    finally:
        process.terminate()
        process.join()
        listening.close()


def _serve(listening: socket.socket) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Pong, sock=listening)
        await server.serve_forever()

    asyncio.run(serve())


class _Pong(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.WriteTransport)
        self._transport.write(ANSWER * data.count(b"\r\n\r\n"))
