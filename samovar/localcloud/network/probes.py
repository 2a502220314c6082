"""Probes ask a target over TCP or HTTP, once, from the network's own address for health checks.

They run in an event loop of their own, for they must be on time whatever the daemon's loop is doing.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Callable, Coroutine
from ipaddress import IPv4Address
from typing import TypeVar

from samovar.core.errors import HostError
from samovar.localcloud.network.health_checks import HealthCheck, Result, Target
from samovar.localcloud.network.names import HEALTH_CHECKS

T = TypeVar("T")
IP_BIND_ADDRESS_NO_PORT = 24
"""Not in the socket module before Python 3.12: the port is chosen at connect, so thousands of probes share them."""
LONGEST_STATUS_LINE = 1024
HOST_ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""Errors of a system call by which this host lacks something. They say nothing about the target."""
LATE = 0.1
"""How late a timeout may be, as a share of it; one that is later was missed by a loop that did something else."""

SocketIn = Callable[[str, socket.AddressFamily, socket.SocketKind], socket.socket]
"""`Fabric.socket_in`."""


class LoopThread:
    """An event loop in a thread of its own, which begins with the first call and ends with `close` or the process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[[], Coroutine[object, None, T]]) -> T:
        """Run `work` there and return its result; a caller that is cancelled cancels it."""
        loop = self._loop or self._start()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), loop))

    async def close(self) -> None:
        """End the thread. Nothing may run there any more."""
        loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop and thread:
            loop.call_soon_threadsafe(loop.stop)
            await asyncio.to_thread(thread.join)
            loop.close()

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            loop.close()
            raise
        self._loop, self._thread = loop, thread
        return loop


async def probe(socket_in: SocketIn, target: Target) -> Result:
    """Probe once, within the check's timeout. Where the loop was late the result says nothing of the target."""
    check, clock = target.check, asyncio.get_running_loop().time
    deadline = clock() + check.timeout
    try:
        async with asyncio.timeout_at(deadline):
            with socket_in(target.network_id, socket.AF_INET, socket.SOCK_STREAM) as connection:
                return await _request(connection, target)
    except TimeoutError:
        late = clock() - deadline
        is_late = late > LATE * check.timeout
        return Result.not_probed(f"this host was {late:.1f} s late") if is_late else Result.timed_out(check)
    except OSError as error:
        return _failure(check, error.errno or errno.EIO)
    except HostError as error:
        return Result.not_probed(error.message)


def _failure(check: HealthCheck, error: int) -> Result:
    return Result.not_probed(os.strerror(error)) if error in HOST_ERRORS else Result.unreachable(check, error)


async def _request(connection: socket.socket, target: Target) -> Result:
    loop, check = asyncio.get_running_loop(), target.check
    connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    connection.bind((str(HEALTH_CHECKS), 0))
    await loop.sock_connect(connection, (str(target.address), check.port))
    if check.path is None:
        return Result.connected(check)
    await loop.sock_sendall(connection, request(target.address, check.port, check.path))
    return Result.of_status_line(await _status_line(connection))


async def _status_line(connection: socket.socket) -> bytes:
    loop, line = asyncio.get_running_loop(), b""
    while b"\n" not in line and len(line) < LONGEST_STATUS_LINE:
        more = await loop.sock_recv(connection, LONGEST_STATUS_LINE)
        if not more:
            break
        line += more
    return line.partition(b"\n")[0]


def request(address: IPv4Address, port: int, path: str) -> bytes:
    """Return the HTTP request of a health check."""
    head = (f"GET {path} HTTP/1.1", f"Host: {address}:{port}", "User-Agent: samovar-healthcheck", "Connection: close")
    return "\r\n".join((*head, "", "")).encode()
