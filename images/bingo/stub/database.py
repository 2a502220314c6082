"""Runs statements on the primary of the PostgreSQL cluster, over a pool of connections."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from pg8000.exceptions import DatabaseError, Error
from pg8000.native import Connection

from .config import Cluster, Host

T = TypeVar("T")
Rows = list[list[Any]]

CONNECTIONS = 20
CONNECT_TIMEOUT = 2.0
BLOCK_ROWS = 500
BLOCK_BYTES = 1 << 16
# A server that vanished is noticed within seconds; a busy one is waited for.
KEEPALIVE = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 2,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 5000,
}


class DatabaseUnavailable(Exception):
    """No primary answers, or it rejects the statement."""


class Database:
    """A pool of at most CONNECTIONS connections; a further statement waits for a free one."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._idle: deque[Connection] = deque()
        self._threads = ThreadPoolExecutor(CONNECTIONS, "database")

    async def query(self, sql: str, **values: Any) -> Rows:
        """Run one statement, commit it and return its rows; `:name` in it stands for a value.

        Raises DatabaseUnavailable.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.run, lambda connection: connection.run(sql, **values))

    async def stream(self, select: str) -> AsyncGenerator[bytes]:
        """Yield the rows of a select with one column of JSON, in blocks, with commas between the rows.

        The database is read no faster than the blocks are consumed; the query ends when the consumer stops.
        Raises DatabaseUnavailable.
        """
        source, sink = socket.socketpair()
        loop = asyncio.get_running_loop()
        copying = loop.run_in_executor(self._threads, self._copy, select, sink)
        reader, writer = await asyncio.open_connection(sock=source)
        try:
            while block := await reader.read(BLOCK_BYTES):
                yield block
            await copying
        finally:
            writer.close()
            with suppress(DatabaseUnavailable, BrokenPipeError):  # the consumer has left
                await copying

    def run(self, work: Callable[[Connection], T]) -> T:
        """Call `work` with a connection to the primary, in the caller's thread. Raises DatabaseUnavailable."""
        try:
            connection = self._idle.pop() if self._idle else self._primary()
            try:
                result = work(connection)
            except BaseException as error:
                self._drop(connection, error)
                raise
        except (Error, OSError) as error:
            raise DatabaseUnavailable(str(error) or type(error).__name__) from error
        self._idle.append(connection)
        return result

    def _copy(self, select: str, sink: socket.socket) -> None:
        with sink:
            rows = _RowSink(sink)
            self.run(lambda connection: connection.run(f"COPY ({select}) TO STDOUT", stream=rows))
            rows.flush()

    def _drop(self, connection: Connection, error: BaseException) -> None:
        """Close the connection, and all idle ones if the server itself does not answer any more."""
        closing = [connection]
        if not isinstance(error, DatabaseError | BrokenPipeError):
            closing += [self._idle.pop() for _ in range(len(self._idle))]
        for unused in closing:
            with suppress(Exception):
                unused.close()

    def _primary(self) -> Connection:
        reasons = []
        for host in self._cluster.hosts:
            try:
                connection = self._connect(host)
                if connection.run("SELECT pg_is_in_recovery()") == [[False]]:
                    return connection
                connection.close()
                reasons.append(f"{host.address}: a standby")
            except (Error, OSError) as error:
                reasons.append(f"{host.address}: {error}")
        raise OSError(f"no primary: {'; '.join(reasons)}")

    def _connect(self, host: Host) -> Connection:
        sock = socket.create_connection((host.address, host.port), CONNECT_TIMEOUT)
        try:
            sock.settimeout(None)
            for (level, option), value in KEEPALIVE.items():
                sock.setsockopt(level, option, value)
            return Connection(
                self._cluster.user,
                host=host.address,
                database=self._cluster.db_name,
                password=self._cluster.password,
                application_name="bingo",
                ssl_context=_tls(self._cluster.ssl_mode),
                sock=sock,
            )
        except BaseException:
            sock.close()
            raise


class _RowSink:
    """A file for COPY: it removes COPY's escapes and passes the rows on in blocks."""

    def __init__(self, sink: socket.socket) -> None:
        self._sink = sink
        self._rows: list[bytes] = []
        self._comma = b""

    def write(self, row: bytes) -> None:
        self._rows.append(row)
        if len(self._rows) == BLOCK_ROWS:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            text = b"".join(self._rows)[:-1].replace(rb"\\", b"\\").replace(b"\n", b",\n")
            self._sink.sendall(self._comma + text)
            self._comma = b",\n"
            self._rows.clear()


def _tls(mode: str) -> ssl.SSLContext | bool | None:
    """Return the TLS setting for a libpq ssl_mode: `require` does not verify the server, `verify-*` do."""
    if mode == "disable":
        return False
    if mode in ("allow", "prefer"):
        return None
    context = ssl.create_default_context()
    context.check_hostname = mode == "verify-full"
    context.verify_mode = ssl.CERT_NONE if mode == "require" else ssl.CERT_REQUIRED
    return context
