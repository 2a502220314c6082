"""Gateways and route tables in the store. A table counts for the subnets that name it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from yandex.cloud.vpc.v1.gateway_pb2 import Gateway
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable

from samovar.localcloud.api.errors import invalid
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository, require
from samovar.localcloud.store.store import Store


class Gateways(Repository[Gateway]):
    """There is one kind of gateway: shared, for traffic that leaves the cloud."""

    kind, id_prefix = Gateway, "enp"


class RouteTables(Repository[RouteTable]):
    """The route tables of all networks."""

    kind, id_prefix = RouteTable, "enp"
    count_quota = Quota("vpc.routeTables.count", RouteTable, 8)


def check_route_table(store: Store, table_id: str, network_id: str) -> None:
    """Refuse a table that does not exist, or is of another network than the subnet that names it."""
    if not table_id:
        return
    table = require(store, RouteTable, table_id)
    if table.network_id != network_id:
        raise invalid(f"RouteTable {table_id} is of the network {table.network_id}", "route_table_id")


def check_routes(store: Store, table: RouteTable) -> None:
    """Refuse routes to one destination, and routes whose next hop does not exist."""
    destinations = [_network(route.destination_prefix) for route in table.static_routes]
    if len(set(destinations)) != len(destinations):
        raise invalid("two routes have one destination", "static_routes")
    for route in table.static_routes:
        hop = route.WhichOneof("next_hop")
        if hop == "gateway_id":
            require(store, Gateway, route.gateway_id)
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
