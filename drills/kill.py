"""The first drill: a machine loses its power under load, and the time is taken until the environment is whole again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cloud.session import Session
from drills.load import Load, load_while
from envs.model import Environment
from groups.console import machine_id
from groups.inspect import inspect
from groups.status import Status
from kit.errors import CloudError, ConfigError
from kit.output import Talk
from kit.waiting import Pending, wait_for

BEFORE = 2.0
"""Seconds of load before the machine is killed, and after the environment is whole."""


@dataclass(frozen=True)
class Report:
    """What the drill found; times in seconds."""

    environment: str
    machine: str
    url: str
    rate: float
    noticed: float
    whole: float
    load: Load

    def to_json(self) -> dict[str, Any]:
        """The documented shape."""
        return {
            "environment": self.environment,
            "machine": self.machine,
            "url": self.url,
            "rate": self.rate,
            "seconds_until_noticed": round(self.noticed, 2),
            "seconds_until_whole": round(self.whole, 2),
            "requests": len(self.load.outcomes),
            "failed": len(self.load.failed),
            "failures": dict(Counter(outcome.failure for outcome in self.load.failed)),
            "worst_seconds": round(self.load.worst, 3),
        }


def kill(
    session: Session,
    environment: Environment,
    group: str,
    talk: Talk,
    *,
    rate: float,
    timeout: float,
    url: str | None = None,
) -> Report:
    """Kills the group's first machine while `rate` requests a second go to the environment's own address.

    Raises CloudError where the environment is not whole to begin with, ConfigError for an address that is not its own,
    and WaitTimeout where it does not get whole in `timeout` seconds.
    """
    environment.group(group)
    status = inspect(session, environment)
    if not status.healthy:
        raise CloudError(f"{environment.name} is not whole", remedy=f"./cli.py rollout {environment.name}")
    target = own_address(status, url)
    machine = next(found for found in status.groups if found.name == group).machines[0].name
    return asyncio.run(_drill(session, environment, machine, target, talk, rate, timeout))


def own_address(status: Status, url: str | None) -> str:
    """Load goes to nobody else's address."""
    own = [found for _, found in status.endpoints]
    if not own:
        raise ConfigError(f"{status.environment} has no address to send to", remedy="give a group an external balancer")
    if url is None:
        return own[0]
    if urlsplit(url).netloc not in {urlsplit(found).netloc for found in own}:
        raise ConfigError(f"{url} is no address of {status.environment}", remedy=f"its addresses: {', '.join(own)}")
    return url


async def _drill(
    session: Session, environment: Environment, machine: str, url: str, talk: Talk, rate: float, timeout: float
) -> Report:
    times: list[float] = []

    async def work() -> None:
        await asyncio.sleep(BEFORE)
        times.extend(await asyncio.to_thread(_break, session, environment, machine, talk, timeout))
        await asyncio.sleep(BEFORE)

    load = await load_while(url, rate, work)
    noticed, whole = times
    return Report(environment.name, machine, url, rate, noticed, whole, load)


def _break(session: Session, environment: Environment, machine: str, talk: Talk, timeout: float) -> tuple[float, float]:
    """Seconds until the kill is noticed, and until all is well again."""
    session.cut_power(machine_id(session, environment.name, machine))
    began = time.monotonic()
    talk.say(f"{machine} lost its power")
    _until(session, environment, healthy=False, timeout=timeout)
    noticed = time.monotonic() - began
    with talk.step(f"{environment.name} gets whole"):
        _until(session, environment, healthy=True, timeout=timeout)
    return noticed, time.monotonic() - began


def _until(session: Session, environment: Environment, *, healthy: bool, timeout: float) -> None:
    def probe() -> bool | Pending:
        status = inspect(session, environment)
        if status.healthy == healthy:
            return True
        return Pending("; ".join(group.summary() for group in status.groups))

    what = "is whole again" if healthy else "notices the loss"
    wait_for(f"{environment.name} {what}", probe, timeout=timeout, interval=0.1, ceiling=0.25)
