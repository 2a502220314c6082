"""The two ports of a home are free ones at its first start and never change after, so that clients find it again."""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from samovar.core.errors import HostError
from samovar.core.files import write_private

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """TCP ports on loopback: the API's gRPC form, and all that is not gRPC."""

    grpc: int
    rest: int


def ports_of(file: Path) -> Ports:
    """Return the home's ports, chosen at the first call. Raises HostError where another process has one of them."""
    ports = _read(file)
    if ports is None:
        ports = Ports(_free(0), _free(0))
        write_private(file, json.dumps(asdict(ports)))
    for port in (ports.grpc, ports.rest):
        try:
            _free(port)
        except OSError as error:
            raise HostError(
                f"{LOOPBACK}:{port} is in use by another process ({error.strerror})",
                remedy=f"end that process (ss -ltnp 'sport = :{port}'), or delete {file} to have other ports",
            ) from error
    return ports


def _read(file: Path) -> Ports | None:
    """Return None where there is no file yet, or it was torn: then other ports are chosen, which clients find too."""
    try:
        content = json.loads(file.read_text())
        ports = Ports(int(content["grpc"]), int(content["rest"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return ports if all(0 < port < 1 << 16 for port in (ports.grpc, ports.rest)) else None


def listen(port: int) -> socket.socket:
    """Return a socket that is bound to a port of loopback; 0 is any free one."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((LOOPBACK, port))
    return sock


def _free(port: int) -> int:
    with listen(port) as probe:
        bound: int = probe.getsockname()[1]
        return bound
