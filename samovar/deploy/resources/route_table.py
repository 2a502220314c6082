"""NAT gateways and the route tables that lead to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import gateway_service_pb2 as gateways
from yandex.cloud.vpc.v1 import route_table_service_pb2 as tables
from yandex.cloud.vpc.v1.gateway_pb2 import Gateway as GatewayMessage
from yandex.cloud.vpc.v1.gateway_service_pb2_grpc import GatewayServiceStub
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable as RouteTableMessage
from yandex.cloud.vpc.v1.route_table_pb2 import StaticRoute
from yandex.cloud.vpc.v1.route_table_service_pb2_grpc import RouteTableServiceStub

from samovar.cloud.session import Session
from samovar.core.constants import ANY_IPV4
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started, started
from samovar.deploy.resources.resource import Existing, Kind, Ref, Resource, Spec


@dataclass(frozen=True)
class Gateway(Spec):
    """A shared NAT gateway, through which machines without a public address reach the internet."""

    KIND = Kind.GATEWAY
    QUOTA = "vpc.gateways.count"


@dataclass(frozen=True)
class RouteTable(Spec):
    """A table with one route: everything that leaves the network goes to the gateway."""

    KIND = Kind.ROUTE_TABLE
    IMMUTABLE = frozenset({"network"})
    QUOTA = "vpc.routeTables.count"

    network: str
    gateway: str

    def refs(self) -> Iterator[Ref]:
        yield Ref(Kind.NETWORK, self.network)
        yield Ref(Kind.GATEWAY, self.gateway)


class GatewayHandler(Handler[Gateway, GatewayMessage]):
    """Creates shared egress gateways."""

    KIND = Kind.GATEWAY

    def list(self, session: Session) -> list[GatewayMessage]:
        request = gateways.ListGatewaysRequest(folder_id=session.folder_id)
        return session.list(session.client(GatewayServiceStub).List, request, lambda page: page.gateways)

    def read(self, _: GatewayMessage, __: IdIndex) -> Gateway:
        return Gateway()

    def create(self, context: Context, resource: Resource[Gateway]) -> Started:
        request = gateways.CreateGatewayRequest(
            folder_id=context.session.folder_id,
            name=resource.name,
            labels=context.labels(resource),
            shared_egress_gateway_spec=gateways.SharedEgressGatewaySpec(),
        )
        operation = context.session.client(GatewayServiceStub).Create(request)
        return started(operation, gateways.CreateGatewayMetadata(), lambda metadata: metadata.gateway_id)

    def delete(self, session: Session, existing: Existing[Gateway]) -> Operation:
        return session.client(GatewayServiceStub).Delete(gateways.DeleteGatewayRequest(gateway_id=existing.id))


class RouteTableHandler(Handler[RouteTable, RouteTableMessage]):
    """Creates tables with the default route alone."""

    KIND = Kind.ROUTE_TABLE

    def list(self, session: Session) -> list[RouteTableMessage]:
        request = tables.ListRouteTablesRequest(folder_id=session.folder_id)
        return session.list(session.client(RouteTableServiceStub).List, request, lambda page: page.route_tables)

    def read(self, message: RouteTableMessage, index: IdIndex) -> RouteTable:
        hops = [route.gateway_id for route in message.static_routes if route.destination_prefix == ANY_IPV4]
        return RouteTable(network=index.name_of(message.network_id), gateway=", ".join(map(index.name_of, hops)))

    def create(self, context: Context, resource: Resource[RouteTable]) -> Started:
        request = tables.CreateRouteTableRequest(
            folder_id=context.session.folder_id,
            name=resource.name,
            labels=context.labels(resource),
            network_id=context.id(Kind.NETWORK, resource.spec.network),
            static_routes=[_default_route(context, resource.spec)],
        )
        operation = context.session.client(RouteTableServiceStub).Create(request)
        return started(operation, tables.CreateRouteTableMetadata(), lambda metadata: metadata.route_table_id)

    def update(
        self, context: Context, existing: Existing[RouteTable], desired: Resource[RouteTable], _: tuple[str, ...]
    ) -> Started:
        request = tables.UpdateRouteTableRequest(
            route_table_id=existing.id,
            update_mask=FieldMask(paths=["static_routes"]),
            static_routes=[_default_route(context, desired.spec)],
        )
        return Started(existing.id, context.session.client(RouteTableServiceStub).Update(request))

    def delete(self, session: Session, existing: Existing[RouteTable]) -> Operation:
        request = tables.DeleteRouteTableRequest(route_table_id=existing.id)
        return session.client(RouteTableServiceStub).Delete(request)


def _default_route(context: Context, spec: RouteTable) -> StaticRoute:
    return StaticRoute(destination_prefix=ANY_IPV4, gateway_id=context.id(Kind.GATEWAY, spec.gateway))
