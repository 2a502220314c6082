"""The command run_server: it tries to reach a public address, then serves."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable

from .config import Config
from .database import Database
from .faults import FaultInjector
from .http import Handler, serve_connection
from .identity import port
from .log import Log
from .service import Service
from .settings import Settings

PROBE_TIMEOUT = 30.0
BACKLOG = 1024
THREAD_SWITCH = 0.001
"""Seconds after which a thread that reads a long list yields to others."""


def probe(address: tuple[str, int], log: Log, timeout: float = PROBE_TIMEOUT) -> None:
    """Try to reach `address` and ignore the outcome. If packets are dropped it takes all of `timeout` (seconds)."""
    try:
        with socket.create_connection(address, timeout) as connection:
            connection.sendall(f"GET / HTTP/1.0\r\nHost: {address[0]}\r\n\r\n".encode())
    except OSError as error:
        log.write("warning", "probe failed", address=address[0], error=str(error))


def listen(number: int) -> socket.socket:
    """Return a socket that listens on IPv6 and IPv4, or on IPv4 alone if the kernel has no IPv6."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    listening = socket.create_server(("", number), family=family, backlog=BACKLOG, dualstack_ipv6=both)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio sets it only on sockets of its own
    return listening


def _accept_with(handler: Handler) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return a connection callback. It keeps a reference to each task, for asyncio drops it when the client leaves."""
    running = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        running.add(task)
        try:
            await serve_connection(reader, writer, handler)
        finally:
            running.discard(task)

    return accept


async def serve(config: Config, settings: Settings, log: Log) -> None:
    """Serve until SIGTERM or SIGINT, or until a fault ends the process."""
    sys.setswitchinterval(THREAD_SWITCH)
    injector = FaultInjector(settings, log)
    service = Service(Database(config.postgres_cluster), injector, settings, log)
    own_port = port(config.student_email)
    server = await asyncio.start_server(_accept_with(service.answer), sock=listen(own_port))
    log.write("info", "listening", port=own_port)
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    timer = asyncio.create_task(injector.run_timer())
    await end.wait()
    timer.cancel()
    server.close()
