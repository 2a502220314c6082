"""yandex.cloud.vpc: gateways and route tables, the way out of subnets whose machines have no public address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import gateway_service_pb2 as gateways
from yandex.cloud.vpc.v1 import route_table_service_pb2 as tables
from yandex.cloud.vpc.v1.gateway_pb2 import Gateway
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import invalid, not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.resources.model import ResourceService, fill, page, stamp, update
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store


class GatewayService(ResourceService[Gateway]):
    """There is one kind of gateway: shared, for what goes out."""

    kind, noun, id_field = Gateway, "Gateway", "gateway_id"

    def List(self, request: gateways.ListGatewaysRequest, _: Caller) -> gateways.ListGatewaysResponse:
        found = self.store.all(Gateway, scope=request.folder_id)
        return page(request, gateways.ListGatewaysResponse(), "gateways", found)

    def Create(self, request: gateways.CreateGatewayRequest, caller: Caller) -> Operation:
        self.admit(request.folder_id, request.name)
        gateway = Gateway(id=new_id("gateway"))
        fill(gateway, request)
        gateway.shared_egress_gateway.SetInParent()
        stamp(gateway)
        self.store.put(gateway)
        metadata = gateways.CreateGatewayMetadata(gateway_id=gateway.id)
        return self.operations.done(caller, "Create gateway", metadata, gateway)

    def Update(self, request: gateways.UpdateGatewayRequest, caller: Caller) -> Operation:
        gateway = self.find(request)
        update(gateway, request, self.id_field)
        self.claim_name(gateway.folder_id, gateway.name, gateway.id)
        self.store.put(gateway)
        metadata = gateways.UpdateGatewayMetadata(gateway_id=gateway.id)
        return self.operations.done(caller, "Update gateway", metadata, gateway)

    def Delete(self, request: gateways.DeleteGatewayRequest, caller: Caller) -> Operation:
        gateway = self.find(request)
        for table in self.store.all(RouteTable):
            if any(route.gateway_id == gateway.id for route in table.static_routes):
                raise precondition(f"Gateway {gateway.id} is used by the route table {table.id}")
        self.store.delete(Gateway, gateway.id)
        metadata = gateways.DeleteGatewayMetadata(gateway_id=gateway.id)
        return self.operations.gone(caller, "Delete gateway", metadata)

    def ListOperations(
        self, request: gateways.ListGatewayOperationsRequest, _: Caller
    ) -> gateways.ListGatewayOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, gateways.ListGatewayOperationsResponse(), "operations", found)


class RouteTableService(ResourceService[RouteTable]):
    """A table counts for the subnets that name it."""

    kind, noun, id_field = RouteTable, "RouteTable", "route_table_id"

    def List(self, request: tables.ListRouteTablesRequest, _: Caller) -> tables.ListRouteTablesResponse:
        found = self.store.all(RouteTable, scope=request.folder_id)
        return page(request, tables.ListRouteTablesResponse(), "route_tables", found)

    def Create(self, request: tables.CreateRouteTableRequest, caller: Caller) -> Operation:
        if self.store.get(Network, request.network_id) is None:
            raise not_found("Network", request.network_id)
        self.admit(request.folder_id, request.name)
        table = RouteTable(id=new_id("route-table"))
        fill(table, request)
        _check_routes(self.store, table)
        stamp(table)
        self.store.put(table)
        metadata = tables.CreateRouteTableMetadata(route_table_id=table.id)
        return self.operations.done(caller, "Create route table", metadata, table)

    def Update(self, request: tables.UpdateRouteTableRequest, caller: Caller) -> Operation:
        table = self.find(request)
        update(table, request, self.id_field)
        self.claim_name(table.folder_id, table.name, table.id)
        _check_routes(self.store, table)
        self.store.put(table)
        metadata = tables.UpdateRouteTableMetadata(route_table_id=table.id)
        return self.operations.done(caller, "Update route table", metadata, table)

    def Delete(self, request: tables.DeleteRouteTableRequest, caller: Caller) -> Operation:
        table = self.find(request)
        if used := [subnet.id for subnet in self.store.all(Subnet) if subnet.route_table_id == table.id]:
            raise precondition(f"RouteTable {table.id} is used by the subnet {used[0]}")
        self.store.delete(RouteTable, table.id)
        metadata = tables.DeleteRouteTableMetadata(route_table_id=table.id)
        return self.operations.gone(caller, "Delete route table", metadata)

    def ListOperations(
        self, request: tables.ListRouteTableOperationsRequest, _: Caller
    ) -> tables.ListRouteTableOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, tables.ListRouteTableOperationsResponse(), "operations", found)


def check_route_table(store: Store, table_id: str, network_id: str) -> None:
    """Refuses a table that does not exist, or is of another network than the subnet that names it."""
    if not table_id:
        return
    table = store.get(RouteTable, table_id)
    if table is None:
        raise not_found("RouteTable", table_id)
    if table.network_id != network_id:
        raise invalid(f"RouteTable {table_id} is of the network {table.network_id}", "route_table_id")


def _check_routes(store: Store, table: RouteTable) -> None:
    destinations = [_network(route.destination_prefix) for route in table.static_routes]
    if len(set(destinations)) != len(destinations):
        raise invalid("two routes have one destination", "static_routes")
    for route in table.static_routes:
        hop = route.WhichOneof("next_hop")
        if hop == "gateway_id" and store.get(Gateway, route.gateway_id) is None:
            raise not_found("Gateway", route.gateway_id)
        if hop == "next_hop_address":
            _address(route.next_hop_address)
        if hop is None:
            raise invalid(f"the route to {route.destination_prefix} has no next hop", "static_routes")


def _network(text: str) -> IPv4Network:
    try:
        return IPv4Network(text)
    except ValueError as error:
        raise invalid(f"{text}: {error}", "static_routes") from error


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError as error:
        raise invalid(f"{text}: {error}", "static_routes") from error
