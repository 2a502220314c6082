"""Health checks of balancers and instance groups: a pure state machine, and the probes that feed it.

HTTP passes on status 200 alone, and a state changes after as many results in a row as its threshold says, as in
Yandex Cloud. Probes come from HEALTH_CHECKS, an address of the network itself.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

from samovar.core.errors import HostError
from samovar.localcloud.network.names import HEALTH_CHECKS

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

log: FilteringBoundLogger = structlog.get_logger(__name__)

IP_BIND_ADDRESS_NO_PORT = 24
"""Not in the socket module before Python 3.12: the port is chosen at connect, so thousands of probes share them."""
LONGEST_STATUS_LINE = 1024
LACKING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""Errors of a system call by which this host lacks something. They say nothing about who is asked."""
LATE = 0.1
"""How late a timeout may be, as a share of it; one that is later was missed by a loop that did something else."""

SocketIn = Callable[[str, socket.AddressFamily, socket.SocketKind], socket.socket]
"""`Fabric.socket_in`."""


class Status(StrEnum):
    """What a check says of a target."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class HealthCheck:
    """How a target is checked, in seconds and results in a row. `path` is what is asked over HTTP, None for TCP."""

    name: str
    interval: float
    timeout: float
    unhealthy_threshold: int
    healthy_threshold: int
    port: int
    path: str | None = None


@dataclass(frozen=True)
class Result:
    """One probe's. `seen` says what came back, for people; `answered`, whether HTTP did, be it an error.

    `passed` is None where this host could not ask: that says nothing about the target.
    """

    passed: bool | None
    seen: str
    answered: bool = False


@dataclass(frozen=True)
class Health:
    """A target's health: `streak` results in a row passed, or failed if it is negative."""

    status: Status = Status.INITIAL
    streak: int = 0
    seen: str = "not asked yet"
    answered: bool = False

    def after(self, result: Result, check: HealthCheck) -> Health:
        """The health once `result` is in; what is no result of the target's changes only what was seen."""
        if result.passed is None:
            return replace(self, seen=result.seen)
        step = 1 if result.passed else -1
        streak = self.streak + step if self.streak * step > 0 else step
        status = self.status
        if streak >= check.healthy_threshold:
            status = Status.HEALTHY
        elif -streak >= check.unhealthy_threshold:
            status = Status.UNHEALTHY
        return Health(status=status, streak=streak, seen=result.seen, answered=result.answered)


@dataclass(frozen=True)
class Target:
    """What is probed: an address in a network, and how."""

    network_id: str
    address: IPv4Address
    check: HealthCheck


Key = TypeVar("Key", bound=Hashable)
Ask = Callable[[Target], Awaitable[Result]]
"""`Fabric.probe`."""


class Prober(Generic[Key]):
    """Probes a set of targets, each in a task of its own, and calls `on_change` when one's status changes."""

    def __init__(self, ask: Ask, on_change: Callable[[Key, Health], None]) -> None:
        self._ask = ask
        self._on_change = on_change
        self._watches: dict[Key, tuple[Target, asyncio.Task[None]]] = {}
        self._healths: dict[Key, Health] = {}

    def set_targets(self, targets: Mapping[Key, Target], *, healthy: Collection[Key] = ()) -> None:
        """From now on these are probed, at once if they are new or differ, and start INITIAL.

        Those of them that are known to be `healthy` start so: what an earlier run of the daemon found still stands.
        """
        for key, (target, task) in list(self._watches.items()):
            if targets.get(key) != target:
                task.cancel()
                del self._watches[key], self._healths[key]
        for key, target in targets.items():
            if key not in self._watches:
                self._healths[key] = Health(Status.HEALTHY if key in healthy else Status.INITIAL)
                self._watches[key] = target, asyncio.create_task(self._watch(key, target), name=f"probe {key}")

    def health(self, key: Key) -> Health:
        """INITIAL for a target that is not probed."""
        return self._healths.get(key, Health())

    def healths(self) -> Iterable[tuple[Key, Health]]:
        """Of all that are probed."""
        return self._healths.items()

    async def close(self) -> None:
        tasks = [task for _, task in self._watches.values()]
        self.set_targets({})
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, key: Key, target: Target) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            result = await self._asked(key, target)
            before = self._healths[key]
            self._healths[key] = before.after(result, target.check)
            if self._healths[key].status is not before.status:
                self._tell(key)
            await asyncio.sleep(began + target.check.interval - clock())

    async def _asked(self, key: Key, target: Target) -> Result:
        try:
            return await self._ask(target)
        except Exception as error:
            log.exception("a probe failed", target=key)
            return Result(passed=None, seen=f"not asked: {error!r}")

    def _tell(self, key: Key) -> None:
        try:
            self._on_change(key, self._healths[key])
        except Exception:
            log.exception("what is told about a target's health failed", target=key)


async def probe(socket_in: SocketIn, target: Target) -> Result:
    """Asks once, and is back within the check's timeout, unless the loop is late: then it could not ask."""
    check, clock = target.check, asyncio.get_running_loop().time
    deadline = clock() + check.timeout
    try:
        async with asyncio.timeout_at(deadline):
            with socket_in(target.network_id, socket.AF_INET, socket.SOCK_STREAM) as connection:
                return await _ask(connection, target)
    except TimeoutError:
        late = clock() - deadline
        if late > LATE * check.timeout:
            return Result(passed=None, seen=f"not asked: this host was {late:.1f} s late")
        return Result(passed=False, seen=f"no answer on port {check.port} within {check.timeout:g} s")
    except OSError as error:
        text = os.strerror(error.errno or errno.EIO)
        if error.errno in LACKING:
            return Result(passed=None, seen=f"not asked: {text}")
        return Result(passed=False, seen=f"port {check.port}: {text}")
    except HostError as error:
        return Result(passed=None, seen=f"not asked: {error.message}")


async def _ask(connection: socket.socket, target: Target) -> Result:
    loop, check = asyncio.get_running_loop(), target.check
    connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    connection.bind((str(HEALTH_CHECKS), 0))
    await loop.sock_connect(connection, (str(target.address), check.port))
    if check.path is None:
        return Result(passed=True, seen=f"port {check.port} is open")
    await loop.sock_sendall(connection, request(target.address, check.port, check.path))
    return judge(await _status_line(connection))


async def _status_line(connection: socket.socket) -> bytes:
    loop, line = asyncio.get_running_loop(), b""
    while b"\n" not in line and len(line) < LONGEST_STATUS_LINE:
        more = await loop.sock_recv(connection, LONGEST_STATUS_LINE)
        if not more:
            break
        line += more
    return line.partition(b"\n")[0]


def request(address: IPv4Address, port: int, path: str) -> bytes:
    """The HTTP request of a health check."""
    head = (f"GET {path} HTTP/1.1", f"Host: {address}:{port}", "User-Agent: samovar-healthcheck", "Connection: close")
    return "\r\n".join((*head, "", "")).encode()


def judge(status_line: bytes) -> Result:
    """200 passes; no other status does, and nothing that is no HTTP."""
    version, status = (*status_line.decode(errors="replace").split(), "", "")[:2]
    if not version.startswith("HTTP/1."):
        return Result(passed=False, seen="no HTTP answer")
    return Result(passed=status == "200", seen=f"HTTP {status}", answered=True)
