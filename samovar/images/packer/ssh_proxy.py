"""A door before the machines that are built, which waits until one listens: Packer looks at a port every five seconds.

Packer takes it for a proxy by SOCKS5 (RFC 1928), on loopback. It leads to SSH and nowhere else, and asks for a password
(RFC 1929) that this bake's Packer alone has: every user of this host reaches loopback.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from samovar.core.waiting import Pending, wait_for

HOST = "127.0.0.1"
SSH = 22
TIMEOUT = 300.0
"""Seconds: as long as Packer itself would go on, by the template's `ssh_timeout`."""
TRY_TIMEOUT = 1.0
CHUNK = 1 << 16
CONNECT, IPV4 = 1, 1
WITH_PASSWORD, NO_METHOD = 2, 0xFF
OPEN, REFUSED = (bytes((5, code, 0, IPV4, 0, 0, 0, 0, 0, 0)) for code in (0, 2))


@dataclass(frozen=True)
class Door:
    """Where it is, and what it asks for."""

    port: int
    password: str = field(repr=False)


@contextmanager
def door(leads_to: int = SSH) -> Iterator[Door]:
    """It, while it is open; `leads_to` is the port of machines."""
    with _Server(leads_to) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Door(server.server_address[1], server.password)
        finally:
            server.shutdown()


class _Handler(socketserver.StreamRequestHandler):
    """One connection of Packer's."""

    server: _Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        if not self._knows_password():
            return
        asked = self._asked()
        if asked is None or asked[1] != self.server.leads_to:
            self.connection.sendall(REFUSED)
            return
        with _reached(asked) as machine:
            self.connection.sendall(OPEN)
            threading.Thread(target=_pass, args=(machine, self.connection), daemon=True).start()
            _pass(self.connection, machine)

    def _knows_password(self) -> bool:
        _, count = self.rfile.read(2)
        offered = self.rfile.read(count)
        self.connection.sendall(bytes((5, WITH_PASSWORD if WITH_PASSWORD in offered else NO_METHOD)))
        if WITH_PASSWORD not in offered:
            return False
        _, length = self.rfile.read(2)
        self.rfile.read(length)  # whatever name
        password = self.rfile.read(self.rfile.read(1)[0])
        right = hmac.compare_digest(password, self.server.password.encode())
        self.connection.sendall(bytes((1, 0 if right else 1)))
        return right

    def _asked(self) -> tuple[str, int] | None:
        """The address that is asked for; None where that is none of IPv4, or not to be connected to."""
        _, command, _, kind = self.rfile.read(4)
        if (command, kind) != (CONNECT, IPV4):
            return None
        return socket.inet_ntoa(self.rfile.read(4)), int.from_bytes(self.rfile.read(2))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, leads_to: int) -> None:
        super().__init__((HOST, 0), _Handler)
        self.leads_to = leads_to
        self.password = secrets.token_hex(16)

    def handle_error(self, *_: Any) -> None:
        """Whoever came in finds the connection closed, and says so."""


def _reached(address: tuple[str, int]) -> socket.socket:
    def probe() -> socket.socket | Pending:
        try:
            return socket.create_connection(address, timeout=TRY_TIMEOUT)
        except OSError as error:
            return Pending(str(error))

    reached = wait_for(f"{address[0]}:{address[1]} listens", probe, timeout=TIMEOUT, ceiling=0.2)
    reached.settimeout(None)
    reached.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # SSH speaks in small pieces
    return reached


def _pass(source: socket.socket, sink: socket.socket) -> None:
    """Until either side ends: then both do."""
    with suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
