"""Injects faults: a power cut, a shutdown, a SIGKILL to a unit, or a request that makes a machine fail."""

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
from samovar.deploy.machines import find_machine
from samovar.deploy.resources.resource import group_resource_name
from samovar.deploy.status import Status
from samovar.load.client import Http1, Request, Target, Unanswered
from samovar.project.drill import Drill, FaultKind, FaultRequest
from samovar.project.environment import Environment


@dataclass(frozen=True)
class Fault:
    """A fault that `inject` causes and `summary` describes afterwards.

    `machines` may be hit. If a `unit` is named, a new process of it shows the recovery, else a new machine does.
    """

    summary: str
    machines: tuple[str, ...]
    inject: Callable[[], Awaitable[None]]
    unit: str = ""


def select_machines(status: Status, target: str, *, all_machines: bool = False) -> tuple[str, ...]:
    """Return the first machine of the group `target`, or all of them; or the machine `target`, with or without ENV-.

    Raises ConfigError that lists groups and machines.
    """
    for group in status.groups:
        names = tuple(machine.name for machine in group.machines)
        if target == group.name and names:
            return names if all_machines else names[:1]
        if matching := {target, group_resource_name(status.environment, target)} & set(names):
            return tuple(matching)
    targets = [group.name for group in status.groups] + [m.name for group in status.groups for m in group.machines]
    raise ConfigError(
        f"{status.environment} has no group or machine {target}", remedy=f"there are {', '.join(targets)}"
    )


def fault_of(drill: Drill, session: Session, environment: Environment, status: Status, service: Target) -> Fault:
    """Return the fault of a drill. Machine ids are looked up now; `service` is where a request is sent.

    Raises ConfigError for an unknown target, or for a fault that this cloud cannot inject.
    """
    machines = select_machines(status, drill.target, all_machines=drill.all_machines)
    names = ", ".join(machines)
    match drill.fault:
        case FaultKind.KILL:
            return Fault(
                f"{names} lost power", machines, _on_each(session, environment, machines, session.cut_power), drill.unit
            )
        case FaultKind.STOP:
            return Fault(
                f"{names} told to stop", machines, _on_each(session, environment, machines, session.stop), drill.unit
            )
        case FaultKind.CRASH:
            crash = partial(_crash, _local_host(session), drill.unit)
            inject = _on_each(session, environment, machines, crash)
            return Fault(f"{drill.unit} of {names} killed", machines, inject, drill.unit)
        case FaultKind.REQUEST:
            return _request_fault(drill, service, machines)


def _request_fault(drill: Drill, service: Target, machines: tuple[str, ...]) -> Fault:
    assert drill.request  # noqa: S101 - the drill's own validation
    request = drill.request
    values = " ".join(map(str, (request.body or {}).values()))
    return Fault(f"{request.request} {values} sent", machines, partial(_send, service, request), drill.unit)


async def _send(service: Target, fault: FaultRequest) -> None:
    """Send the request as often as the fault states, all at once. An answer is not needed."""
    method, path = fault.request.split()
    request = Request(method, path, fault.timeout, fault.body)

    async def send(client: Http1) -> None:
        with suppress(Unanswered):
            await client.send(request, fresh=True)

    async with Http1(service) as client:
        await asyncio.gather(*(send(client) for _ in range(fault.times)))


def _local_host(session: Session) -> Host:
    """Return the local cloud's admin API. Raises ConfigError in any other cloud."""
    if session.host is None:
        raise ConfigError(
            "this cloud cannot inject faults into machines",
            remedy="make the service fail by itself: a drill with the fault `request`",
        )
    return session.host


def _crash(host: Host, unit: str, instance: str) -> None:
    host.crash(instance, unit)


def _on_each(
    session: Session, environment: Environment, machines: Sequence[str], act: Callable[[str], None]
) -> Callable[[], Awaitable[None]]:
    """Return a function that acts on all machines at once; their ids are looked up now."""
    ids = [find_machine(session, environment.name, machine).id for machine in machines]

    async def inject() -> None:
        await asyncio.to_thread(run_concurrently, *(partial(act, instance) for instance in ids))

    return inject
