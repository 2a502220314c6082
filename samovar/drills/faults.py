"""The ways to break an environment. Each names what it broke, and what is to be seen anew before all is well again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from samovar.cloud.local_admin import Host
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.core.errors import ConfigError
from samovar.deploy.console import machine_id
from samovar.deploy.resources.resource import group_resource_name
from samovar.deploy.status import GroupStatus, Status
from samovar.load.client import Http1, Request, Target, Unanswered
from samovar.project.environment import Environment

OPERATION_TIMEOUT = 10.0


@dataclass(frozen=True)
class Break:
    """`act` does it; `what` is said then. `machines` are those in question; of them `unit` dies, or else they do."""

    what: str
    machines: tuple[str, ...]
    act: Callable[[], Awaitable[None]]
    unit: str = ""


def chosen(status: Status, wanted: str, *, all_of_it: bool = False) -> tuple[str, ...]:
    """The first machine of the group of that name, or all of it; or the machine of that name, if need be without ENV-.

    Raises ConfigError with what there is.
    """
    for group in status.groups:
        names = tuple(machine.name for machine in group.machines)
        if wanted == group.name and names:
            return names if all_of_it else names[:1]
        if found := {wanted, group_resource_name(status.environment, wanted)} & set(names):
            return tuple(found)
    known = [group.name for group in status.groups] + [m.name for group in status.groups for m in group.machines]
    raise ConfigError(f"{status.environment} has no group or machine {wanted}", remedy=f"there are {', '.join(known)}")


def group_of(status: Status, name: str) -> GroupStatus:
    """The group that a machine is in, or of that name."""
    return next(g for g in status.groups if name == g.name or name in {machine.name for machine in g.machines})


def power_cut(session: Session, environment: Environment, machines: Sequence[str]) -> Break:
    """Machines lose their power: nobody gets an answer from a dead machine's kernel."""
    act = _each(session, environment, machines, session.cut_power)
    return Break(f"{', '.join(machines)} lost power", tuple(machines), act)


def graceful_stop(session: Session, environment: Environment, machines: Sequence[str]) -> Break:
    """Machines are shut down, as by an operator's hand."""
    act = _each(session, environment, machines, session.stop)
    return Break(f"{', '.join(machines)} told to stop", tuple(machines), act)


def crash(session: Session, environment: Environment, machines: Sequence[str], unit: str) -> Break:
    """A service dies by SIGKILL. ConfigError where the cloud has no hand inside machines."""
    host = hand(session)
    act = _each(session, environment, machines, lambda instance: host.crash(instance, unit))
    return Break(f"{unit} of {', '.join(machines)} killed", tuple(machines), act, unit)


def operation(target: Target, machines: Sequence[str], number: int, times: int, unit: str) -> Break:
    """Bingo is told to fail, through the service: POST /operation with a number that does it."""

    async def act() -> None:
        async with Http1(target) as client:
            await asyncio.gather(*(_operate(client, number) for _ in range(times)))

    return Break(f"POST /operation {number} sent", tuple(machines), act, unit)


def hand(session: Session) -> Host:
    """The local cloud's. ConfigError elsewhere."""
    if session.host is None:
        raise ConfigError(
            "this cloud has no hand inside its machines", remedy="make the service fail by itself: drill ENV operation"
        )
    return session.host


async def _operate(client: Http1, number: int) -> None:
    with suppress(Unanswered):
        await client.send(Request("POST", "/operation", OPERATION_TIMEOUT, {"operation": number}), fresh=True)


def _each(
    session: Session, environment: Environment, machines: Sequence[str], do: Callable[[str], None]
) -> Callable[[], Awaitable[None]]:
    """All at once; who they are is looked up beforehand."""
    ids = [machine_id(session, environment.name, machine) for machine in machines]

    async def act() -> None:
        await asyncio.to_thread(run_concurrently, *(partial(do, found) for found in ids))

    return act
