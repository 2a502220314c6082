"""VPC networks and their subnets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import network_service_pb2 as networks
from yandex.cloud.vpc.v1 import subnet_service_pb2 as subnets
from yandex.cloud.vpc.v1.network_pb2 import Network as NetworkMessage
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet as SubnetMessage
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.cloud.session import Session
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started, started
from samovar.deploy.resources.resource import Existing, Kind, Ref, Resource, Spec
from samovar.project.environment import Environment


@dataclass(frozen=True)
class Network(Spec):
    """A VPC network."""

    KIND = Kind.NETWORK
    QUOTA = "vpc.networks.count"


@dataclass(frozen=True)
class Subnet(Spec):
    """A zone's part of a network's range; one without a route table is for machines with public addresses."""

    KIND = Kind.SUBNET
    IMMUTABLE = frozenset({"network", "zone", "cidr"})
    QUOTA = "vpc.subnets.count"

    network: str
    zone: str
    cidr: str
    route_table: str = ""

    def refs(self) -> Iterator[Ref]:
        yield Ref(Kind.NETWORK, self.network)
        if self.route_table:
            yield Ref(Kind.ROUTE_TABLE, self.route_table)


class NetworkHandler(Handler[Network, NetworkMessage]):
    """Creates networks."""

    KIND = Kind.NETWORK

    def list(self, session: Session) -> list[NetworkMessage]:
        request = networks.ListNetworksRequest(folder_id=session.folder_id)
        return session.list(session.client(NetworkServiceStub).List, request, lambda page: page.networks)

    def read(self, _: NetworkMessage, __: IdIndex) -> Network:
        return Network()

    def create(self, context: Context, resource: Resource[Network]) -> Started:
        request = networks.CreateNetworkRequest(
            folder_id=context.session.folder_id, name=resource.name, labels=context.labels(resource)
        )
        operation = context.session.client(NetworkServiceStub).Create(request)
        return started(operation, networks.CreateNetworkMetadata(), lambda metadata: metadata.network_id)

    def delete(self, session: Session, existing: Existing[Network]) -> Operation:
        return session.client(NetworkServiceStub).Delete(networks.DeleteNetworkRequest(network_id=existing.id))


class SubnetHandler(Handler[Subnet, SubnetMessage]):
    """Creates subnets, one or two a zone."""

    KIND = Kind.SUBNET

    def list(self, session: Session) -> list[SubnetMessage]:
        request = subnets.ListSubnetsRequest(folder_id=session.folder_id)
        return session.list(session.client(SubnetServiceStub).List, request, lambda page: page.subnets)

    def read(self, message: SubnetMessage, index: IdIndex) -> Subnet:
        return Subnet(
            network=index.name_of(message.network_id),
            zone=message.zone_id,
            cidr=", ".join(message.v4_cidr_blocks),
            route_table=index.name_of(message.route_table_id),
        )

    def create(self, context: Context, resource: Resource[Subnet]) -> Started:
        spec = resource.spec
        request = subnets.CreateSubnetRequest(
            folder_id=context.session.folder_id,
            name=resource.name,
            labels=context.labels(resource),
            network_id=context.id(Kind.NETWORK, spec.network),
            zone_id=spec.zone,
            v4_cidr_blocks=[spec.cidr],
            route_table_id=_route_table_id(context, spec),
        )
        operation = context.session.client(SubnetServiceStub).Create(request)
        return started(operation, subnets.CreateSubnetMetadata(), lambda metadata: metadata.subnet_id)

    def update(
        self, context: Context, existing: Existing[Subnet], desired: Resource[Subnet], _: tuple[str, ...]
    ) -> Started:
        request = subnets.UpdateSubnetRequest(
            subnet_id=existing.id,
            update_mask=FieldMask(paths=["route_table_id"]),
            route_table_id=_route_table_id(context, desired.spec),
        )
        return Started(existing.id, context.session.client(SubnetServiceStub).Update(request))

    def delete(self, session: Session, existing: Existing[Subnet]) -> Operation:
        return session.client(SubnetServiceStub).Delete(subnets.DeleteSubnetRequest(subnet_id=existing.id))


def _route_table_id(context: Context, spec: Subnet) -> str:
    return context.id(Kind.ROUTE_TABLE, spec.route_table) if spec.route_table else ""


def network_name(environment: Environment) -> str:
    """Return the name by which resources refer to the network: the environment's, or the id of one that exists."""
    return environment.network.id or environment.name


def subnet_of(environment: Environment, zone: str, *, public: bool) -> str:
    """Return the name by which resources refer to a zone's subnet, or the id of one that exists."""
    return environment.subnets.get(zone) or subnet_name(environment.name, zone, public=public)


def subnet_name(environment: str, zone: str, *, public: bool) -> str:
    """Return the name of a zone's subnet. Machines with public addresses have one of their own, without a NAT route."""
    return f"{environment}-{zone}-public" if public else f"{environment}-{zone}"
