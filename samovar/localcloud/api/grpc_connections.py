"""Bounds the connections of the gRPC port for each user of the host. gRPC itself bounds them in total and in time.

gRPC accepts in threads of its own and asks nobody. So the daemon looks at its own descriptors now and then, and shuts
down the newest connections of who has more than a share.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

from samovar.localcloud import clock
from samovar.localcloud.sockets.connections import BY_USER, ROOT, Address, source_of
from samovar.localcloud.sockets.listener import LimitedLog

PERIOD = 0.5
INTERNET = frozenset({socket.AF_INET, socket.AF_INET6})
DESCRIPTORS = Path("/proc/self/fd")


def _plain(address: tuple[Any, ...]) -> Address:
    """GRPC's sockets are of IPv6, where 127.0.0.1 is ::ffff:127.0.0.1."""
    return address[0].removeprefix("::ffff:"), address[1]


def _descriptors() -> list[int]:
    """Those of this process, the oldest first."""
    return sorted(int(path.name) for path in DESCRIPTORS.iterdir())


class GrpcConnections:
    """Watches the connections to `address`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._log = LimitedLog()

    async def run(self) -> None:
        """Looks until it is cancelled. Fewer descriptors than a user's share hold no more connections than that."""
        while True:
            await asyncio.sleep(clock.of_host(PERIOD))
            with suppress(OSError):
                if len(_descriptors()) > BY_USER:
                    await asyncio.to_thread(self.trim)

    def trim(self) -> None:
        """Shuts down what is above a user's share."""
        held: defaultdict[str, list[int]] = defaultdict(list)
        for number in _descriptors():
            if source := self._source(number):
                held[source].append(number)
        for source, numbers in held.items():
            if source != ROOT and len(numbers) > BY_USER:
                self._log.warning("too many connections", source=source, held=len(numbers))
                for number in numbers[BY_USER:]:
                    self._shut_down(number)

    def _source(self, number: int) -> str | None:
        """Who is at the other end, where the descriptor is a connection to our address."""
        with suppress(OSError), self._connection(number) as connection:
            return source_of(self._address, _plain(connection.getpeername())).name
        return None

    def _shut_down(self, number: int) -> None:
        with suppress(OSError), self._connection(number) as connection:
            connection.shutdown(socket.SHUT_RDWR)

    def _connection(self, number: int) -> socket.socket:
        """The descriptor's double, which no other thread closes. Raises OSError where it is not such a connection."""
        double = os.dup(number)
        try:
            connection = socket.socket(fileno=double)
        except OSError:
            os.close(double)
            raise
        if connection.family not in INTERNET or _plain(connection.getsockname()) != self._address:
            connection.close()
            raise OSError("another socket")
        return connection
