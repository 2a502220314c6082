"""Creates the network of build machines, with a subnet and a security group, and removes it after the last bake.

A network that Packer's plugin makes by itself has no labels, and each image that is baked at the same time takes one of
the two that a new cloud may have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpc
from google.protobuf.message import Message
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
from samovar.core.constants import ANY_IPV4, SSH_PORT
from samovar.core.errors import SamovarError
from samovar.core.output import Reporter
from samovar.images.builders.packer.cleanup import any_bake

RequestT = TypeVar("RequestT", bound=Message)

NAME = "samovar-bake"
SHARED = "place"  # the label of what all bakes share
CIDR = "192.168.111.0/24"
OPEN = (
    "any address may connect to the SSH port of the build machine, which accepts one key; to allow yours alone: "
    "--ssh-from CIDR, or `bake: {ssh_from: CIDR}` in the environment's config.yaml"
)


@dataclass(frozen=True)
class BuildNetwork:
    """The ids of the network, subnet and security group of build machines."""

    network: str
    subnet: str
    security_group: str


@contextmanager
def build_network(session: Session, reporter: Reporter, *, ssh_from: str | None = None) -> Iterator[BuildNetwork]:
    """Yield the network, which is created if it is missing; afterwards it is removed, unless another bake uses it.

    `ssh_from` is the range of addresses that may connect by SSH; None is any, with a warning.
    """
    if ssh_from is None:
        reporter.info(OPEN)
    with reporter.step(f"network {NAME}"):
        network = _ensure(session, ssh_from or ANY_IPV4)
    try:
        yield network
    except BaseException:
        with suppress(SamovarError):  # the first error is reported
            _remove_unused(session, reporter, network)
        raise
    _remove_unused(session, reporter, network)


def _remove_unused(session: Session, reporter: Reporter, network: BuildNetwork) -> None:
    if not any_bake(session):
        with reporter.step(f"remove network {NAME}"):
            _remove(session, network)


def _ensure(session: Session, ssh_from: str) -> BuildNetwork:
    network = _network(session)
    return BuildNetwork(network, _subnet(session, network), _security_group(session, network, ssh_from))


def _network(session: Session) -> str:
    """Return the id of the network, which is made where there is none."""
    client = session.client(NetworkServiceStub)
    listed = networks.ListNetworksRequest(folder_id=session.folder_id)
    existing = _find(session.list(client.List, listed, lambda page: page.networks), NAME)
    create = networks.CreateNetworkRequest(folder_id=session.folder_id, name=NAME, labels=of_bake(SHARED))
    return existing or _created(session, client.Create(create), networks.CreateNetworkMetadata())


def _subnet(session: Session, network: str) -> str:
    """Return the id of the subnet in the session's zone, which is made where there is none."""
    zone, client = session.access.zone, session.client(SubnetServiceStub)
    name = f"{NAME}-{zone}"
    listed = subnets.ListSubnetsRequest(folder_id=session.folder_id)
    existing = _find(session.list(client.List, listed, lambda page: page.subnets), name)
    create = subnets.CreateSubnetRequest(
        folder_id=session.folder_id,
        name=name,
        labels=of_bake(SHARED),
        network_id=network,
        zone_id=zone,
        v4_cidr_blocks=[CIDR],
    )
    return existing or _created(session, client.Create(create), subnets.CreateSubnetMetadata())


def _security_group(session: Session, network: str, ssh_from: str) -> str:
    """Create or update the security group: SSH from `ssh_from` alone, and all connections that the machine opens."""
    rules = [_rule(SecurityGroupRule.INGRESS, ssh_from, SSH_PORT), _rule(SecurityGroupRule.EGRESS, ANY_IPV4)]
    client = session.client(SecurityGroupServiceStub)
    listed = groups.ListSecurityGroupsRequest(folder_id=session.folder_id)
    existing = _find(session.list(client.List, listed, lambda page: page.security_groups), NAME)
    if existing:
        request = groups.UpdateSecurityGroupRequest(security_group_id=existing, rule_specs=rules)
        request.update_mask.paths.append("rule_specs")
        session.finish(client.Update(request), what=f"update security group {NAME}")
        return existing
    create = groups.CreateSecurityGroupRequest(
        folder_id=session.folder_id, name=NAME, labels=of_bake(SHARED), network_id=network, rule_specs=rules
    )
    return _created(session, client.Create(create), groups.CreateSecurityGroupMetadata())


def _rule(direction: SecurityGroupRule.Direction.ValueType, peer: str, port: int = 0) -> groups.SecurityGroupRuleSpec:
    spec = groups.SecurityGroupRuleSpec(direction=direction, protocol_name="TCP")
    spec.cidr_blocks.CopyFrom(CidrBlocks(v4_cidr_blocks=[peer]))
    if port:
        spec.ports.CopyFrom(PortRange(from_port=port, to_port=port))
    return spec


class _Labelled(Protocol):
    id: str
    name: str

    @property
    def labels(self) -> Mapping[str, str]: ...


def _find(resources: Iterable[_Labelled], name: str) -> str:
    """Return the id of the resource of bakes that has this name; empty where there is none."""
    return next(
        (each.id for each in resources if each.name == name and is_ours(each.labels) and BAKE in each.labels), ""
    )


def _created(session: Session, operation: Operation, metadata: Message) -> str:
    """Wait for the operation and return the id in its metadata, whose only field it is."""
    session.finish(operation, what=operation.description or "create")
    operation.metadata.Unpack(metadata)
    return str(getattr(metadata, metadata.DESCRIPTOR.fields[0].name))


def _remove(session: Session, network: BuildNetwork) -> None:
    """Remove the network. A bake that has begun meanwhile keeps it in use."""
    group = groups.DeleteSecurityGroupRequest(security_group_id=network.security_group)
    subnet = subnets.DeleteSubnetRequest(subnet_id=network.subnet)
    last = networks.DeleteNetworkRequest(network_id=network.network)
    _delete(session, session.client(SecurityGroupServiceStub).Delete, group)
    _delete(session, session.client(SubnetServiceStub).Delete, subnet)
    _delete(session, session.client(NetworkServiceStub).Delete, last)


def _delete(session: Session, rpc: Callable[[RequestT], Operation], request: RequestT) -> None:
    try:
        session.finish(rpc(request), what=f"remove {NAME}")
    except (CallFailed, OperationFailed) as error:
        if error.status not in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION}:
            raise
