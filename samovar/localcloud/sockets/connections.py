"""Connections of a service are bounded in total, and for each source.

A source is a machine's address or, on the host's loopback, a user. Root is bounded by the total alone, and a part of
it is kept for root, so that no user of the host keeps the operator out.
"""

from __future__ import annotations

import errno
import resource
import socket
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from weakref import WeakSet

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

ROOT = "uid 0"
BY_USER, BY_MACHINE = 128, 64
RESERVE = 4
"""The part of the total, as one over this, that is root's alone."""

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST = 4, 20, 1
ANY_COOKIE = b"\xff" * 8
UID_OFFSET = 80
"""Of `idiag_uid`, behind the header of netlink (sock_diag(7))."""

Address = tuple[str, int]


@dataclass(frozen=True)
class Source:
    """The user or machine that connects, and the number of connections that it may have of a service."""

    name: str
    limit: int


class Connections:
    """The connections of one service, at whatever sockets it listens."""

    def __init__(self, total: int | None = None) -> None:
        self._total = total or share()
        self._held: Counter[str] = Counter()
        self._with_request: WeakSet[object] = WeakSet()

    def enter(self, source: Source) -> bool:
        """Count a connection; return False where the source, or the service, has as many as it may."""
        if source.name == ROOT:
            admitted = self._held.total() < self._total
        else:
            free = self._held.total() < self._total - self._total // RESERVE
            admitted = free and self._held[source.name] < min(source.limit, self._total // 2)
        if admitted:
            self._held[source.name] += 1
        return admitted

    def leave(self, source: Source) -> None:
        self._held[source.name] -= 1
        if not self._held[source.name]:
            del self._held[source.name]

    def has_request(self, transport: object) -> bool:
        """Return whether the complete head of a request came by it."""
        return transport in self._with_request

    @property
    def middleware(self) -> Middleware:
        """A middleware for the application: it records the transports that brought a request."""

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.transport is not None:
                self._with_request.add(request.transport)
            return await handler(request)

        return note


def source_of(local: Address, peer: Address, network: str = "") -> Source:
    """Return who is at the other end of a connection to `local`, in a network or on the host."""
    if not IPv4Address(peer[0]).is_loopback:
        return Source(f"{network} {peer[0]}", BY_MACHINE)
    uid = user_of(peer, local)
    return Source("unknown user" if uid is None else f"uid {uid}", BY_USER)


def user_of(local: Address, peer: Address) -> int | None:
    """Return the user whose socket is connected from `local` to `peer`; None where it is closed."""
    with suppress(OSError), socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as kernel:
        kernel.send(_question(local, peer))
        answer = kernel.recv(4096)
        (kind,) = struct.unpack_from("=H", answer, 4)
        if kind == SOCK_DIAG_BY_FAMILY:
            return int(struct.unpack_from("=I", answer, UID_OFFSET)[0])
    return None


def _question(local: Address, peer: Address) -> bytes:
    """Pack struct nlmsghdr and struct inet_diag_req_v2, for the one connection."""
    ends = b"".join(socket.inet_aton(host).ljust(16, b"\0") for host, _ in (local, peer))
    ports = struct.pack("!HH", local[1], peer[1])
    request = struct.pack("=BBxxI", socket.AF_INET, socket.IPPROTO_TCP, 0xFFFFFFFF)
    request += ports + ends + struct.pack("=I", 0) + ANY_COOKIE
    return struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0) + request


def is_lack(error: OSError) -> bool:
    """Return whether accepting failed for lack of a resource of this host, and so will again at once."""
    return error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


LARGEST_SHARE = 1024
SHARES = 8
"""Four services listen: both ports, the API in networks, metadata. So half of the descriptors are never theirs."""


def raise_limit() -> int:
    """Raise the soft limit to the hard one, which it returns; most hosts start a process with 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def share() -> int:
    """Return the number of connections that one service may have at a time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(LARGEST_SHARE, soft // SHARES) if soft > 0 else LARGEST_SHARE
