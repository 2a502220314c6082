"""The RPCs of yandex.cloud.vpc for gateways and route tables."""

from __future__ import annotations

from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import gateway_service_pb2 as gateways
from yandex.cloud.vpc.v1 import route_table_service_pb2 as tables
from yandex.cloud.vpc.v1.gateway_pb2 import Gateway
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import fill, require, stamp, update
from samovar.localcloud.resources.rpc import WithOperations
from samovar.localcloud.vpc.routes.model import Gateways, RouteTables, check_routes


class GatewayService(WithOperations[Gateway]):
    """Every gateway is a shared one, for traffic that leaves the cloud."""

    def Create(self, request: gateways.CreateGatewayRequest, caller: Caller) -> Operation:
        self.resources.admit(request.folder_id, request.name)
        gateway = Gateway(id=self.resources.new_id())
        fill(gateway, request)
        gateway.shared_egress_gateway.SetInParent()
        stamp(gateway)
        metadata = gateways.CreateGatewayMetadata(gateway_id=gateway.id)
        return self.stored(caller, "Create gateway", metadata, gateway)

    def Update(self, request: gateways.UpdateGatewayRequest, caller: Caller) -> Operation:
        gateway = self.find(request)
        update(gateway, request, self.id_field)
        self.resources.claim_name(gateway.folder_id, gateway.name, gateway.id)
        metadata = gateways.UpdateGatewayMetadata(gateway_id=gateway.id)
        return self.stored(caller, "Update gateway", metadata, gateway)

    def Delete(self, request: gateways.DeleteGatewayRequest, caller: Caller) -> Operation:
        gateway = self.find(request)
        for table in self.store.all(RouteTable):
            if any(route.gateway_id == gateway.id for route in table.static_routes):
                raise precondition(f"Gateway {gateway.id} is used by the route table {table.id}")
        self.resources.delete(gateway.id)
        metadata = gateways.DeleteGatewayMetadata(gateway_id=gateway.id)
        return self.operations.deleted(caller, "Delete gateway", metadata)


class RouteTableService(WithOperations[RouteTable]):
    """A table counts for the subnets that name it."""

    def Create(self, request: tables.CreateRouteTableRequest, caller: Caller) -> Operation:
        require(self.store, Network, request.network_id)
        self.resources.admit(request.folder_id, request.name)
        table = RouteTable(id=self.resources.new_id())
        fill(table, request)
        check_routes(self.store, table)
        stamp(table)
        metadata = tables.CreateRouteTableMetadata(route_table_id=table.id)
        return self.stored(caller, "Create route table", metadata, table)

    def Update(self, request: tables.UpdateRouteTableRequest, caller: Caller) -> Operation:
        table = self.find(request)
        update(table, request, self.id_field)
        self.resources.claim_name(table.folder_id, table.name, table.id)
        check_routes(self.store, table)
        metadata = tables.UpdateRouteTableMetadata(route_table_id=table.id)
        return self.stored(caller, "Update route table", metadata, table)

    def Delete(self, request: tables.DeleteRouteTableRequest, caller: Caller) -> Operation:
        table = self.find(request)
        if used := [subnet.id for subnet in self.store.all(Subnet) if subnet.route_table_id == table.id]:
            raise precondition(f"RouteTable {table.id} is used by the subnet {used[0]}")
        self.resources.delete(table.id)
        metadata = tables.DeleteRouteTableMetadata(route_table_id=table.id)
        return self.operations.deleted(caller, "Delete route table", metadata)


SERVICES = (
    Service(gateways, "vpc", lambda context: GatewayService(Gateways(context.store), context.operations), Gateways),
    Service(
        tables, "vpc", lambda context: RouteTableService(RouteTables(context.store), context.operations), RouteTables
    ),
)
