"""NAT gateways and the route tables that lead to them."""

from __future__ import annotations

from typing import Any, cast

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import gateway_service_pb2 as gateways
from yandex.cloud.vpc.v1 import route_table_service_pb2 as tables
from yandex.cloud.vpc.v1.gateway_service_pb2_grpc import GatewayServiceStub
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable as RouteTableMessage
from yandex.cloud.vpc.v1.route_table_pb2 import StaticRoute
from yandex.cloud.vpc.v1.route_table_service_pb2_grpc import RouteTableServiceStub

from samovar.cloud.session import Session
from samovar.deploy.foundation_specs import WORLD, Gateway, RouteTable
from samovar.deploy.resources.handler import Begun, Fixed, Names, Work, begun
from samovar.deploy.specs import Existing, Kind, Resource


class Gateways(Fixed):
    """Shared gateways, for what goes out."""

    def list(self, session: Session) -> list[Any]:
        request = gateways.ListGatewaysRequest(folder_id=session.folder_id)
        return session.list(session.client(GatewayServiceStub).List, request, "gateways")

    def read(self, _: Any, __: Names) -> Gateway:
        return Gateway()

    def create(self, work: Work, resource: Resource) -> Begun:
        request = gateways.CreateGatewayRequest(
            folder_id=work.session.folder_id,
            name=resource.name,
            labels=work.labels(resource),
            shared_egress_gateway_spec=gateways.SharedEgressGatewaySpec(),
        )
        operation = work.session.client(GatewayServiceStub).Create(request)
        return begun(operation, gateways.CreateGatewayMetadata(), lambda made: made.gateway_id)

    def delete(self, session: Session, existing: Existing) -> Operation:
        return session.client(GatewayServiceStub).Delete(gateways.DeleteGatewayRequest(gateway_id=existing.id))


class RouteTables(Fixed):
    """Tables with one route: the default one."""

    def list(self, session: Session) -> list[Any]:
        request = tables.ListRouteTablesRequest(folder_id=session.folder_id)
        return session.list(session.client(RouteTableServiceStub).List, request, "route_tables")

    def read(self, message: RouteTableMessage, names: Names) -> RouteTable:
        hops = [route.gateway_id for route in message.static_routes if route.destination_prefix == WORLD]
        return RouteTable(network=names.of(message.network_id), gateway=", ".join(map(names.of, hops)))

    def create(self, work: Work, resource: Resource) -> Begun:
        spec = cast("RouteTable", resource.spec)
        request = tables.CreateRouteTableRequest(
            folder_id=work.session.folder_id,
            name=resource.name,
            labels=work.labels(resource),
            network_id=work.id(Kind.NETWORK, spec.network),
            static_routes=[_route(work, spec)],
        )
        operation = work.session.client(RouteTableServiceStub).Create(request)
        return begun(operation, tables.CreateRouteTableMetadata(), lambda made: made.route_table_id)

    def update(self, work: Work, existing: Existing, wanted: Resource, _: tuple[str, ...]) -> Begun:
        request = tables.UpdateRouteTableRequest(
            route_table_id=existing.id,
            update_mask=FieldMask(paths=["static_routes"]),
            static_routes=[_route(work, cast("RouteTable", wanted.spec))],
        )
        return Begun(existing.id, work.session.client(RouteTableServiceStub).Update(request))

    def delete(self, session: Session, existing: Existing) -> Operation:
        request = tables.DeleteRouteTableRequest(route_table_id=existing.id)
        return session.client(RouteTableServiceStub).Delete(request)


def _route(work: Work, spec: RouteTable) -> StaticRoute:
    return StaticRoute(destination_prefix=WORLD, gateway_id=work.id(Kind.GATEWAY, spec.gateway))
