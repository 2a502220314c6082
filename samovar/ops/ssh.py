"""The way into a machine by SSH: through a machine of the bastion's group, each known by what its console said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from yandex.cloud.compute.v1 import instance_service_pb2 as rpc
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub

from samovar.cloud.labels import GROUP, is_of
from samovar.cloud.session import Session
from samovar.core.errors import CloudError, ConfigError
from samovar.core.program import command_line
from samovar.deploy.console import console, machine_id
from samovar.project.environment import Environment, Operator

USER = "operator"
"""Whom cloud-init makes in every machine, with the operator's keys."""
HOST_KEY = re.compile(r"samovar: host key (\S+ [A-Za-z0-9+/=]+)")


@dataclass(frozen=True)
class Hop:
    """A machine on the way; `host_key` is its type and text, as in a file of known hosts."""

    name: str
    address: str
    host_key: str


def way(session: Session, environment: Environment, machine: str) -> tuple[Hop, ...]:
    """The machines that are passed, the wanted one last. A machine with a public address is reached without a detour.

    Raises ConfigError where nobody may log in, or there is no such machine, and CloudError where no bastion runs.
    """
    if environment.operator is None:
        raise ConfigError(
            f"{environment.name} lets nobody log in",
            remedy="let operator.ssh_keys of its config.yaml name public keys, and roll out",
        )
    wanted = machine_id(session, environment.name, machine)
    instances = _instances(session, environment.name)
    target = next(instance for instance in instances if instance.id == wanted)
    return tuple(_hop(session, environment.name, *found) for found in _passed(environment, target, instances))


def ssh_config(hops: Iterable[Hop], known_hosts: str, identity: str | None) -> str:
    """A configuration of ssh in which each machine is a host of its name, reached through the one before it."""
    return "\n".join(line for hop, before in _pairs(hops) for line in _host(hop, before, known_hosts, identity)) + "\n"


def known_hosts(hops: Iterable[Hop]) -> str:
    """A file of known hosts: every machine by its name, which a new one of the same name does not inherit."""
    return "".join(f"{hop.name} {hop.host_key}\n" for hop in hops)


def _pairs(hops: Iterable[Hop]) -> Iterator[tuple[Hop, Hop | None]]:
    before = None
    for hop in hops:
        yield hop, before
        before = hop


def _host(hop: Hop, before: Hop | None, known_hosts: str, identity: str | None) -> Iterator[str]:
    yield f"Host {hop.name}"
    yield f"  HostName {hop.address}"
    yield f"  User {USER}"
    yield f"  HostKeyAlias {hop.name}"
    yield f'  UserKnownHostsFile "{known_hosts}"'
    yield "  GlobalKnownHostsFile none"
    yield "  StrictHostKeyChecking yes"
    yield "  ConnectTimeout 10"
    if identity:
        yield f'  IdentityFile "{identity}"'
        yield "  IdentitiesOnly yes"
    if before:
        yield f"  ProxyJump {before.name}"


def _instances(session: Session, environment: str) -> list[Instance]:
    request = rpc.ListInstancesRequest(folder_id=session.folder_id)
    found = session.list(session.client(InstanceServiceStub).List, request, lambda page: page.instances)
    return [instance for instance in found if is_of(instance.labels, environment)]


def _passed(environment: Environment, target: Instance, instances: list[Instance]) -> list[tuple[Instance, str]]:
    """Each with the address at which it is reached."""
    assert isinstance(environment.operator, Operator)  # noqa: S101 - the caller has asked
    bastion = environment.operator.bastion
    if target.labels[GROUP] == bastion:
        return [(target, _public(target))]
    doors = [each for each in instances if each.labels[GROUP] == bastion and each.status == Instance.RUNNING]
    if not doors:
        raise CloudError(
            f"no machine of {bastion} runs, through which the way leads",
            remedy=command_line(f"status {environment.name}"),
        )
    door = min(doors, key=lambda each: each.name)
    return [(door, _public(door)), (target, target.network_interfaces[0].primary_v4_address.address)]


def _public(instance: Instance) -> str:
    return str(instance.network_interfaces[0].primary_v4_address.one_to_one_nat.address)


def _hop(session: Session, environment: str, instance: Any, address: str) -> Hop:
    """The first key counts: it is told at boot, and what fills the console later cannot take its place."""
    said = HOST_KEY.findall(console(session, environment, instance.name))
    if not said:
        raise CloudError(
            f"{instance.name} has not told its host key on its console",
            remedy=f"it does so at boot; look there: {command_line(f'logs {environment} {instance.name}')}",
        )
    return Hop(instance.name, address, said[0])
