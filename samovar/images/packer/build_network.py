"""Where machines are built: a network, a subnet and a security group of the tool's own, while anybody bakes.

What Packer's plugin makes by itself carries no labels, and takes one of the two networks that a new cloud may have for
every image that is baked at the same time.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import network_service_pb2 as networks
from yandex.cloud.vpc.v1 import security_group_service_pb2 as groups
from yandex.cloud.vpc.v1 import subnet_service_pb2 as subnets
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.security_group_pb2 import CidrBlocks, PortRange, SecurityGroupRule
from yandex.cloud.vpc.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.cloud.errors import CallFailed, OperationFailed
from samovar.cloud.labels import BAKE, is_ours, of_bake
from samovar.cloud.session import Session
from samovar.core.errors import SamovarError
from samovar.core.output import Reporter
from samovar.core.units import ANY_IPV4
from samovar.images.packer.cleanup import bakes_run

NAME = "samovar-bake"
SHARED = "place"
CIDR = "192.168.111.0/24"
SSH = 22
OPEN = (
    "any address may knock at the SSH port of the build machine, which one key opens; to let in yours alone: "
    "--ssh-from CIDR, or `bake: {ssh_from: CIDR}` in the environment's config.yaml"
)


@dataclass(frozen=True)
class Place:
    """The ids of what a machine is built in."""

    network: str
    subnet: str
    security_group: str


@contextmanager
def build_place(session: Session, reporter: Reporter, *, ssh_from: str | None = None) -> Iterator[Place]:
    """Found or made; taken away afterwards, unless somebody else bakes there.

    `ssh_from` is a range of addresses; None is any, and it is said what to do about that.
    """
    if ssh_from is None:
        reporter.info(OPEN)
    with reporter.step(f"network {NAME}"):
        place = _ensure(session, ssh_from or ANY_IPV4)
    try:
        yield place
    except BaseException:
        with suppress(SamovarError):  # what went wrong before is what is told
            _leave(session, reporter, place)
        raise
    _leave(session, reporter, place)


def _leave(session: Session, reporter: Reporter, place: Place) -> None:
    if not bakes_run(session):
        with reporter.step(f"remove network {NAME}"):
            _remove(session, place)


def _ensure(session: Session, ssh_from: str) -> Place:
    folder, labels = session.folder_id, of_bake(SHARED)
    network = _found(session, NetworkServiceStub, networks.ListNetworksRequest(folder_id=folder), "networks", NAME)
    if not network:
        request = networks.CreateNetworkRequest(folder_id=folder, name=NAME, labels=labels)
        network = _made(session, session.client(NetworkServiceStub).Create(request), networks.CreateNetworkMetadata())
    name = f"{NAME}-{session.access.zone}"
    subnet = _found(session, SubnetServiceStub, subnets.ListSubnetsRequest(folder_id=folder), "subnets", name)
    if not subnet:
        made = subnets.CreateSubnetRequest(
            folder_id=folder,
            name=name,
            labels=labels,
            network_id=network,
            zone_id=session.access.zone,
            v4_cidr_blocks=[CIDR],
        )
        subnet = _made(session, session.client(SubnetServiceStub).Create(made), subnets.CreateSubnetMetadata())
    return Place(network, subnet, _security_group(session, network, ssh_from))


def _security_group(session: Session, network: str, ssh_from: str) -> str:
    """SSH from the builder alone, and what the machine fetches; it answers nobody else."""
    rules = [_rule(SecurityGroupRule.INGRESS, ssh_from, SSH), _rule(SecurityGroupRule.EGRESS, ANY_IPV4)]
    client = session.client(SecurityGroupServiceStub)
    listed = groups.ListSecurityGroupsRequest(folder_id=session.folder_id)
    known = _found(session, SecurityGroupServiceStub, listed, "security_groups", NAME)
    if known:
        request = groups.UpdateSecurityGroupRequest(security_group_id=known, rule_specs=rules)
        request.update_mask.paths.append("rule_specs")
        session.finish(client.Update(request), what=f"update security group {NAME}")
        return known
    create = groups.CreateSecurityGroupRequest(
        folder_id=session.folder_id, name=NAME, labels=of_bake(SHARED), network_id=network, rule_specs=rules
    )
    return _made(session, client.Create(create), groups.CreateSecurityGroupMetadata())


def _rule(direction: SecurityGroupRule.Direction.ValueType, peer: str, port: int = 0) -> groups.SecurityGroupRuleSpec:
    spec = groups.SecurityGroupRuleSpec(direction=direction, protocol_name="TCP")
    spec.cidr_blocks.CopyFrom(CidrBlocks(v4_cidr_blocks=[peer]))
    if port:
        spec.ports.CopyFrom(PortRange(from_port=port, to_port=port))
    return spec


def _found(session: Session, stub: type[Any], request: Any, field: str, name: str) -> str:
    for message in session.list(session.client(stub).List, request, operator.attrgetter(field)):
        if message.name == name and is_ours(message.labels) and BAKE in message.labels:
            return str(message.id)
    return ""


def _made(session: Session, operation: Any, metadata: Any) -> str:
    """The id that the operation's metadata have, whose one field it is."""
    session.finish(operation, what=operation.description or "create")
    operation.metadata.Unpack(metadata)
    return str(getattr(metadata, metadata.DESCRIPTOR.fields[0].name))


def _remove(session: Session, place: Place) -> None:
    """Whoever has begun to bake there meanwhile keeps it."""
    group = groups.DeleteSecurityGroupRequest(security_group_id=place.security_group)
    subnet = subnets.DeleteSubnetRequest(subnet_id=place.subnet)
    network = networks.DeleteNetworkRequest(network_id=place.network)
    _delete(session, session.client(SecurityGroupServiceStub).Delete, group)
    _delete(session, session.client(SubnetServiceStub).Delete, subnet)
    _delete(session, session.client(NetworkServiceStub).Delete, network)


def _delete(session: Session, rpc: Callable[[Any], Operation], request: Any) -> None:
    try:
        session.finish(rpc(request), what=f"remove {NAME}")
    except (CallFailed, OperationFailed) as error:
        if error.status not in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION}:
            raise
