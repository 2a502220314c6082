"""A listening socket whose connections are bounded: in number, and in the time until the first request.

asyncio's own server accepts whatever comes, and on a lack of descriptors fills the log.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from samovar.localcloud import clock
from samovar.localcloud.sockets.connections import Address, Connections, is_lack, source_of

BACKLOG = 128
AT_A_TIME = 32
"""Connections that are accepted before the loop does something else."""
PAUSE = 1.0
"""Seconds without accepting, after a lack of descriptors or memory."""
HANDSHAKE = 5.0
FIRST_REQUEST = 5.0
"""Seconds, after the handshake, until the head of a request is whole."""
RESET = struct.pack("ii", 1, 0)
"""A linger of no time: a refused connection leaves nothing behind."""


class _Connection(socket.socket):
    """A socket that calls `on_close` when it is closed, by whichever code."""

    on_close: Callable[[], None] | None = None

    def close(self) -> None:
        super().close()
        on_close, self.on_close = self.on_close, None
        if on_close:
            on_close()


class Listener:
    """Serves the connections of a bound socket by protocols of `factory`, by TLS where there is a context.

    `network` is where the socket listens, if not on the host: another network's machines have the same addresses.
    """

    def __init__(
        self,
        sock: socket.socket,
        factory: Callable[[], asyncio.BaseProtocol],
        connections: Connections,
        *,
        tls: ssl.SSLContext | None = None,
        network: str = "",
    ) -> None:
        self._socket = sock
        self._factory = factory
        self._connections = connections
        self._tls = tls
        self._network = network
        self._log = LimitedLog()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._socket.setblocking(False)  # noqa: FBT003 - its only argument
        self._socket.listen(BACKLOG)
        self._resume()

    async def stop(self) -> None:
        """Stop accepting; open connections are left to the server of the protocols."""
        if self._pause:
            self._pause.cancel()
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _resume(self) -> None:
        self._pause = None
        asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_A_TIME):
            try:
                accepted, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._failed(error)
                return
            self._admit(_Connection(fileno=accepted.detach()), peer)

    def _failed(self, error: OSError) -> None:
        self._log.warning("no connection is accepted", error=str(error))
        if is_lack(error):
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket)
            self._pause = loop.call_later(clock.of_host(PAUSE), self._resume)

    def _admit(self, connection: _Connection, peer: Address) -> None:
        source = source_of(connection.getsockname(), peer, self._network)
        if not self._connections.enter(source):
            self._log.warning("too many connections", source=source.name)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.close()
            return
        connection.on_close = lambda: self._connections.leave(source)
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: _Connection) -> None:
        loop = asyncio.get_running_loop()
        connection.setblocking(False)  # noqa: FBT003 - its only argument
        timeout = clock.of_host(HANDSHAKE) if self._tls else None
        try:
            transport, _ = await loop.connect_accepted_socket(
                self._factory, connection, ssl=self._tls, ssl_handshake_timeout=timeout
            )
        except (OSError, ssl.SSLError, asyncio.CancelledError):
            connection.close()
            return
        loop.call_later(clock.of_host(FIRST_REQUEST), self._expire, transport)

    def _expire(self, transport: asyncio.Transport) -> None:
        if not self._connections.has_request(transport) and not transport.is_closing():
            with suppress(OSError):
                transport.abort()


log = structlog.get_logger(__name__)


class LimitedLog:
    """Logs each event at most once in `period` seconds."""

    def __init__(self, period: float = 1.0) -> None:
        self._period = period
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, event: str, **facts: object) -> None:
        """Log the event unless it was logged within the last period."""
        now = time.monotonic()
        if now - self._last.get(event, -self._period) < self._period:
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return
        self._last[event] = now
        left_out = self._left_out.pop(event, 0)
        log.warning(event, **facts, **({"left_out": left_out} if left_out else {}))
