"""The two ports of a home: free ones at its first start, the same ones ever after, so that clients find it again."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from kit.errors import HostError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """TCP ports on loopback: the API's gRPC form, and all that is not gRPC."""

    grpc: int
    rest: int


def ports_of(file: Path) -> Ports:
    """Raises HostError where another process has one of them."""
    if not file.exists():
        file.write_text(json.dumps(asdict(Ports(_free(0), _free(0)))))
    ports = Ports(**json.loads(file.read_text()))
    for port in (ports.grpc, ports.rest):
        try:
            _free(port)
        except OSError as error:
            raise HostError(
                f"{LOOPBACK}:{port} is in use by another process ({error.strerror})",
                remedy=f"end that process (ss -ltnp 'sport = :{port}'), or delete {file} to have other ports",
            ) from error
    return ports


def listen(port: int) -> socket.socket:
    """A socket of one of these ports; 0 is any free one."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((LOOPBACK, port))
    return sock


def _free(port: int) -> int:
    with listen(port) as probe:
        bound: int = probe.getsockname()[1]
        return bound
