"""The cluster of PostgreSQL: the primary is found among the hosts, connections to it are kept and used again."""

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
# A server that is gone without a word is noticed within seconds, but one that is busy is waited for.
LIFE_SIGNS = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 2,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 5000,
}


class DatabaseAway(Exception):
    """No primary answers, or it does not do what it was asked."""


class Database:
    """Asked by at most CONNECTIONS at once; who comes later waits."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._idle: deque[Connection] = deque()
        self._threads = ThreadPoolExecutor(CONNECTIONS, "database")

    async def query(self, sql: str, **values: Any) -> Rows:
        """The rows of one statement, committed; `:name` in it stands for a value. Raises DatabaseAway."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.run, lambda asked: asked.run(sql, **values))

    async def stream(self, select: str) -> AsyncGenerator[bytes]:
        """Blocks of a select's one column of JSON, with commas between the rows. Raises DatabaseAway.

        The database is read no faster than the blocks are taken, and left alone when they no longer are.
        """
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        sent = loop.run_in_executor(self._threads, self._copy, select, theirs)
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            while block := await reader.read(BLOCK_BYTES):
                yield block
            await sent
        finally:
            writer.close()
            with suppress(DatabaseAway, BrokenPipeError):  # nobody takes the blocks any more
                await sent

    def run(self, ask: Callable[[Connection], T]) -> T:
        """Asks the primary over a connection of its own; in a thread. Raises DatabaseAway."""
        try:
            connection = self._idle.pop() if self._idle else self._primary()
            try:
                answer = ask(connection)
            except BaseException as error:
                self._drop(connection, error)
                raise
        except (Error, OSError) as error:
            raise DatabaseAway(str(error) or type(error).__name__) from error
        self._idle.append(connection)
        return answer

    def _copy(self, select: str, sink: socket.socket) -> None:
        with sink:
            rows = _Rows(sink)
            self.run(lambda asked: asked.run(f"COPY ({select}) TO STDOUT", stream=rows))
            rows.flush()

    def _drop(self, connection: Connection, error: BaseException) -> None:
        """When the server itself is gone, so are the other connections to it."""
        doomed = [connection]
        if not isinstance(error, DatabaseError | BrokenPipeError):
            doomed += [self._idle.pop() for _ in range(len(self._idle))]
        for each in doomed:
            with suppress(Exception):
                each.close()

    def _primary(self) -> Connection:
        faults = []
        for host in self._cluster.hosts:
            try:
                connection = self._connect(host)
                if connection.run("SELECT pg_is_in_recovery()") == [[False]]:
                    return connection
                connection.close()
                faults.append(f"{host.address}: a standby")
            except (Error, OSError) as error:
                faults.append(f"{host.address}: {error}")
        raise OSError(f"no primary: {'; '.join(faults)}")

    def _connect(self, host: Host) -> Connection:
        sock = socket.create_connection((host.address, host.port), CONNECT_TIMEOUT)
        try:
            sock.settimeout(None)
            for (level, option), value in LIFE_SIGNS.items():
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


class _Rows:
    """What COPY writes to: takes its escapes away, and passes the rows on in blocks."""

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
    """As libpq means its ssl_mode: `require` encrypts and trusts anyone, `verify-*` know whom they talk to."""
    if mode == "disable":
        return False
    if mode in ("allow", "prefer"):
        return None
    context = ssl.create_default_context()
    context.check_hostname = mode == "verify-full"
    context.verify_mode = ssl.CERT_NONE if mode == "require" else ssl.CERT_REQUIRED
    return context
