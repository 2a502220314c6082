"""Turns a drill into what is to be broken in one environment, which is looked up now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from google.protobuf.json_format import MessageToDict
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup
from yandex.cloud.loadbalancer.v1 import target_group_service_pb2 as targets_rpc
from yandex.cloud.loadbalancer.v1.target_group_service_pb2_grpc import TargetGroupServiceStub
from yandex.cloud.vpc.v1.security_group_service_pb2 import GetSecurityGroupRequest
from yandex.cloud.vpc.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub

from samovar.cloud.labels import GROUP
from samovar.cloud.session import Session
from samovar.core.json_types import JsonObject
from samovar.deploy.machines import find_machine
from samovar.deploy.observe import list_owned
from samovar.deploy.resources.instance_group import InstanceGroupHandler
from samovar.deploy.resources.load_balancer import LoadBalancerHandler
from samovar.deploy.resources.secret import list_certificates
from samovar.deploy.status import Status
from samovar.drills.actions import cause_all, local_host
from samovar.drills.journal import Breakage
from samovar.drills.targets import LAST, NoTarget, group_name, group_of_machine, select_machines
from samovar.load.client import Http1, Request, Target, Unanswered
from samovar.project.drill import Cause, Drill, FaultRequest, FurtherFault
from samovar.project.environment import Environment
from samovar.project.environment_options import SecretKind
from samovar.project.fault import FaultKind

ENDS: dict[str, JsonObject] = {
    "dns": {"addresses": ["0.0.0.0/0"], "port": 53},
    "metadata": {"addresses": ["169.254.169.254"]},
    "everything": {"addresses": ["0.0.0.0/0"]},
}
"""The peers that are no groups (`SERVICES` of a drill): where their packets go to and come from."""


@dataclass(frozen=True)
class Fault:
    """A drill's faults that are ready to be caused: `breakages`, and a request to `service`.

    `machines` may be hit. New processes of `units`, each of a machine, show the recovery, else a new machine does.
    `hold` is None for what the environment heals by itself, else the seconds until it is put back.
    """

    summary: str
    machines: tuple[str, ...]
    breakages: tuple[Breakage, ...]
    units: frozenset[tuple[str, str]] = frozenset()
    hold: float | None = None
    request: FaultRequest | None = None
    service: Target | None = None

    async def cause(self, session: Session) -> None:
        """Break what is to be broken, each at its time."""
        if self.request and self.service:
            await _send(self.service, self.request)
        await asyncio.to_thread(cause_all, session, self.breakages)


def fault_of(drill: Drill, session: Session, environment: Environment, status: Status, service: Target) -> Fault:
    """Return the fault of a drill; `service` is where a request is sent.

    Raises NoTarget for an unknown target, ConfigError for a fault that this cloud cannot inject.
    """
    if drill.local_only:
        local_host(session)
    struck = [(cause, _machines(cause, environment, status)) for cause in drill.causes]
    return Fault(
        summary="; ".join(f"{', '.join(machines)}: {_summary(cause)}" for cause, machines in struck),
        machines=tuple(dict.fromkeys(name for _, machines in struck for name in machines)),
        breakages=tuple(
            replace(breakage, after=cause.after if isinstance(cause, FurtherFault) else 0.0)
            for cause, machines in struck
            for breakage in _breakages(cause, session, environment, status, machines)
        ),
        units=frozenset((name, cause.unit) for cause, machines in struck for name in machines if cause.unit),
        hold=drill.hold if drill.restores else None,
        request=drill.request,
        service=service,
    )


def _machines(cause: Cause, environment: Environment, status: Status) -> tuple[str, ...]:
    target = group_name(environment, cause.target)
    return select_machines(status, target, all_machines=cause.all_machines, last=cause.target.endswith(LAST))


SUMMARIES: Mapping[FaultKind, Callable[[Cause], str]] = {
    FaultKind.KILL: lambda _: "power cut",
    FaultKind.STOP: lambda _: "shut down",
    FaultKind.CUT: lambda cause: f"{_loss(cause)} {', '.join(cause.peers)}",
    FaultKind.DELAY: lambda cause: f"all that is sent {cause.delay:g} s late",
    FaultKind.ROLLOUT: lambda cause: f"rollout killed after {cause.method}",
}


def _summary(cause: Cause) -> str:
    if cause.request:
        values = " ".join(map(str, (cause.request.body or {}).values()))
        return f"{cause.request.request} {values}".strip()
    if cause.fault in SUMMARIES:
        return SUMMARIES[cause.fault](cause)
    what = cause.unit or cause.path or cause.method or (f"port {cause.port}" if cause.port else "")
    return f"{cause.fault} {what}".strip()


def _loss(cause: Cause) -> str:
    return "cut off from" if cause.share == 1 else f"{cause.share:.0%} of the packets lost to"


def _breakages(
    cause: Cause, session: Session, environment: Environment, status: Status, machines: Sequence[str]
) -> Iterator[Breakage]:
    match cause.fault:
        case FaultKind.REQUEST:
            return
        case FaultKind.CALLS:
            yield Breakage(cause.fault, "", cause.method)
        case FaultKind.DAEMON:
            yield Breakage(cause.fault, "", "the local cloud", {"home": local_host(session).status()["home"]})
        case FaultKind.EXPIRE:
            yield from _certificates(session, environment)
        case FaultKind.ROLLOUT:
            yield _rollout(cause, session, environment, status, machines[0])
        case _:
            for machine in machines:
                yield _of_machine(cause, session, environment, status, machine)


def _of_machine(cause: Cause, session: Session, environment: Environment, status: Status, machine: str) -> Breakage:
    instance = find_machine(session, environment.name, machine)
    match cause.fault:
        case FaultKind.RULES:
            return _rules(session, instance, cause.port)
        case FaultKind.DRAIN:
            return _target(session, environment, status, instance)
        case FaultKind.TEMPLATE | FaultKind.UPDATE:
            return _template(cause.fault, session, environment, status, instance)
        case FaultKind.CUT:
            ends = _ends(cause, session, environment, status)
            return Breakage(cause.fault, instance.id, machine, {**ends, "share": cause.share})
        case _:
            return Breakage(cause.fault, instance.id, machine, _parameters(cause))


def _rollout(cause: Cause, session: Session, environment: Environment, status: Status, machine: str) -> Breakage:
    instance = find_machine(session, environment.name, machine)
    spoiled = _template(cause.fault, session, environment, status, instance)
    command: JsonObject = {
        "home": local_host(session).status()["home"],
        "project": str(environment.project.folder),
        "envs": str(environment.project.envs),
        "environment": environment.name,
        "method": cause.method,
    }
    return replace(spoiled, parameters={**spoiled.parameters, **command})


def _parameters(cause: Cause) -> JsonObject:
    """Return what the machine has to be told."""
    stated: dict[str, str | float] = {"unit": cause.unit, "path": cause.path, "port": cause.port, "delay": cause.delay}
    return {key: value for key, value in stated.items() if value}


def _ends(cause: Cause, session: Session, environment: Environment, status: Status) -> JsonObject:
    """Return the other ends of the packets. A group is asked at its balancer too, so its address is one of its own."""
    if cause.peers[0] in ENDS:
        return ENDS[cause.peers[0]]
    addresses = {address for peer in cause.peers for address in _addresses(peer, session, environment, status)}
    return {"addresses": sorted(addresses)}


def _addresses(peer: str, session: Session, environment: Environment, status: Status) -> Iterator[str]:
    name = group_name(environment, peer)
    machines = select_machines(status, name, all_machines=True)
    yield from (machine.address for machine in status.machines if machine.name in machines)
    for balancer in list_owned(LoadBalancerHandler(), session, environment.name):
        if balancer.labels[GROUP] == name:
            yield from (listener.address for listener in balancer.listeners)


def _rules(session: Session, instance: Instance, port: int) -> Breakage:
    group_id = instance.network_interfaces[0].security_group_ids[0]
    group = session.client(SecurityGroupServiceStub).Get(GetSecurityGroupRequest(security_group_id=group_id))
    if not any(rule.ports.from_port == port for rule in group.rules):
        raise NoTarget(f"{group.name} has no rule for port {port}")
    rules = [MessageToDict(rule) for rule in group.rules]
    return Breakage(FaultKind.RULES, group_id, group.name, {"port": port, "rules": rules})


def _template(
    fault: FaultKind, session: Session, environment: Environment, status: Status, instance: Instance
) -> Breakage:
    group = _instance_group(session, environment, status, instance)
    parameters: JsonObject = {"template": MessageToDict(group.instance_template), "instance": instance.id}
    return Breakage(fault, group.id, group.name, parameters)


def _certificates(session: Session, environment: Environment) -> Iterator[Breakage]:
    if SecretKind.CERTIFICATE not in environment.own_secrets.values():
        raise NoTarget(f"{environment.name} has no certificate")
    for secret in list_certificates(session, environment):
        version = secret.current_version
        parameters: JsonObject = {"version": version.id, "description": version.description}
        yield Breakage(FaultKind.EXPIRE, secret.id, secret.name, parameters)


def _instance_group(session: Session, environment: Environment, status: Status, instance: Instance) -> InstanceGroup:
    name = group_of_machine(status, instance.name)
    groups = list_owned(InstanceGroupHandler(), session, environment.name)
    return next(group for group in groups if group.labels[GROUP] == name)


def _target(session: Session, environment: Environment, status: Status, instance: Instance) -> Breakage:
    group = _instance_group(session, environment, status, instance)
    target_group_id = group.load_balancer_state.target_group_id
    if not target_group_id:
        raise NoTarget(f"{group.name} has no balancer, so {instance.name} cannot be drained")
    targets = session.client(TargetGroupServiceStub).Get(
        targets_rpc.GetTargetGroupRequest(target_group_id=target_group_id)
    )
    address = instance.network_interfaces[0].primary_v4_address.address
    target = next((each for each in targets.targets if each.address == address), None)
    if target is None:
        raise NoTarget(f"{instance.name} is no target of its balancer now", remedy="wait until it is healthy")
    return Breakage(FaultKind.DRAIN, target_group_id, instance.name, {"target": MessageToDict(target)})


async def _send(service: Target, fault: FaultRequest) -> None:
    """Send the request as often as the fault states, all at once. An answer is not needed."""
    method, path = fault.request.split()
    request = Request(method, path, fault.timeout, fault.body)

    async def send(client: Http1) -> None:
        with suppress(Unanswered):
            await client.send(request, fresh=True)

    async with Http1(service) as client:
        await asyncio.gather(*(send(client) for _ in range(fault.times)))
