"""Health checks of balancers and instance groups: a pure state machine, and the prober that feeds it.

HTTP passes on status 200 alone, and a state changes after as many results in a row as its threshold says, as in
Yandex Cloud. Probes come from HEALTH_CHECKS, an address of the network itself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

log: FilteringBoundLogger = structlog.get_logger(__name__)


class Status(StrEnum):
    """The health of a target, as the API names it."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class HealthCheck:
    """A check of a target: seconds, and results in a row. `path` is requested over HTTP; None is a check over TCP."""

    name: str
    interval: float
    timeout: float
    unhealthy_threshold: int
    healthy_threshold: int
    port: int
    path: str | None = None


@dataclass(frozen=True)
class Result:
    """The result of one probe. `detail` is for people; `answered` is true where HTTP answered, be it an error.

    `passed` is None where this host could not probe: that says nothing about the target.
    """

    passed: bool | None
    detail: str
    answered: bool = False

    @classmethod
    def not_probed(cls, reason: str) -> Result:
        return cls(passed=None, detail=f"not probed: {reason}")

    @classmethod
    def timed_out(cls, check: HealthCheck) -> Result:
        return cls(passed=False, detail=f"no answer on port {check.port} within {check.timeout:g} s")

    @classmethod
    def unreachable(cls, check: HealthCheck, error: int) -> Result:
        """Return the result of a connection that the target refused or broke; `error` is the errno."""
        return cls(passed=False, detail=f"port {check.port}: {os.strerror(error)}")

    @classmethod
    def connected(cls, check: HealthCheck) -> Result:
        """A check over TCP passes once there is a connection."""
        return cls(passed=True, detail=f"port {check.port} is open")

    @classmethod
    def of_status_line(cls, status_line: bytes) -> Result:
        """A check over HTTP passes by status 200 alone; no other status does, nor an answer that is no HTTP."""
        version, status = (*status_line.decode(errors="replace").split(), "", "")[:2]
        if not version.startswith("HTTP/1."):
            return cls(passed=False, detail="no HTTP answer")
        return cls(passed=status == "200", detail=f"HTTP {status}", answered=True)


@dataclass(frozen=True)
class Health:
    """A target's health: `streak` results in a row passed, or failed if it is negative."""

    status: Status = Status.INITIAL
    streak: int = 0
    detail: str = "not probed yet"
    answered: bool = False

    def after(self, result: Result, check: HealthCheck) -> Health:
        """Return the health after one more result; one without a verdict changes the detail alone."""
        if result.passed is None:
            return replace(self, detail=result.detail)
        step = 1 if result.passed else -1
        streak = self.streak + step if self.streak * step > 0 else step
        status = self.status
        if streak >= check.healthy_threshold:
            status = Status.HEALTHY
        elif -streak >= check.unhealthy_threshold:
            status = Status.UNHEALTHY
        return Health(status=status, streak=streak, detail=result.detail, answered=result.answered)


@dataclass(frozen=True)
class Target:
    """An address in a network that is probed, and how."""

    network_id: str
    address: IPv4Address
    check: HealthCheck


Key = TypeVar("Key", bound=Hashable)
Probe = Callable[[Target], Awaitable[Result]]
"""`Fabric.probe`."""


class Prober(Generic[Key]):
    """Probes a set of targets, each in a task of its own, and calls `on_change` when one's status changes."""

    def __init__(self, probe: Probe, on_change: Callable[[Key, Health], None]) -> None:
        self._probe = probe
        self._on_change = on_change
        self._watches: dict[Key, tuple[Target, asyncio.Task[None]]] = {}
        self._healths: dict[Key, Health] = {}

    def set_targets(self, targets: Mapping[Key, Target], *, healthy: Collection[Key] = ()) -> None:
        """Probe these targets from now on, at once those that are new or differ, which start INITIAL.

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
        """Return a target's health, INITIAL for one that is not probed."""
        return self._healths.get(key, Health())

    def healths(self) -> Iterable[tuple[Key, Health]]:
        """Return the health of each target that is probed."""
        return self._healths.items()

    async def close(self) -> None:
        tasks = [task for _, task in self._watches.values()]
        self.set_targets({})
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, key: Key, target: Target) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            result = await self._result(key, target)
            before = self._healths[key]
            self._healths[key] = before.after(result, target.check)
            if self._healths[key].status is not before.status:
                self._notify(key)
            await asyncio.sleep(began + target.check.interval - clock())

    async def _result(self, key: Key, target: Target) -> Result:
        try:
            return await self._probe(target)
        except Exception as error:
            log.exception("a probe failed", target=key)
            return Result.not_probed(repr(error))

    def _notify(self, key: Key) -> None:
        try:
            self._on_change(key, self._healths[key])
        except Exception:
            log.exception("the reaction to a change of health failed", target=key)
