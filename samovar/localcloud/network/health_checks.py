"""Health checks of balancers and instance groups: a pure state machine, and the probes that feed it.

HTTP passes on status 200 alone, and a state changes after as many results in a row as its threshold says, as in
Yandex Cloud. Probes come from HEALTH_CHECKS, an address of the network itself.
"""

from __future__ import annotations

import asyncio
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
