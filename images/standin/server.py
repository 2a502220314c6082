"""run_server: what comes before it serves, and the serving."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable

from .config import Config
from .database import Database
from .faults import Faults
from .http import Handler, serve_connection
from .identity import port
from .log import Log
from .service import Service
from .tuning import Tuning

PROBE_TIMEOUT = 30.0
BACKLOG = 1024
SWITCH = 0.001
"""Seconds after which a thread that reads a long list lets others go on."""


def probe(address: tuple[str, int], log: Log, timeout: float = PROBE_TIMEOUT) -> None:
    """Tries to reach `address`, without caring for the outcome; where packets vanish it takes the whole `timeout`."""
    try:
        with socket.create_connection(address, timeout) as connection:
            connection.sendall(f"GET / HTTP/1.0\r\nHost: {address[0]}\r\n\r\n".encode())
    except OSError as error:
        log.write("warning", "probe failed", address=address[0], error=str(error))


def listen(number: int) -> socket.socket:
    """[::] takes IPv4 as well; where the kernel has no IPv6, IPv4 alone."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    listening = socket.create_server(("", number), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio knows a socket that it made itself only
    return listening


def _keeping(handler: Handler) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Holds on to what serves a connection: asyncio forgets its task once the client has left, and it vanishes."""
    kept = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        kept.add(task)
        try:
            await serve_connection(reader, writer, handler)
        finally:
            kept.discard(task)

    return accept


async def serve(config: Config, tuning: Tuning, log: Log) -> None:
    """Until it dies, or is told to end."""
    sys.setswitchinterval(SWITCH)
    faults = Faults(tuning, log)
    service = Service(Database(config.postgres_cluster), faults, tuning, log)
    number = port(config.student_email)
    server = await asyncio.start_server(_keeping(service.answer), sock=listen(number))
    log.write("info", "listening", port=number)
    end = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, end.set)
    clock = asyncio.create_task(faults.clock())
    await end.wait()
    clock.cancel()
    server.close()
