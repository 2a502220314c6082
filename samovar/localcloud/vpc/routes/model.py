"""Gateways and route tables in the store. A table counts for the subnets that name it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import NetworkLoadBalancer
from yandex.cloud.vpc.v1.gateway_pb2 import Gateway
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable, StaticRoute

from samovar.core.constants import ANY_IPV4
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
    """Refuse routes to one destination, routes to link-local addresses, and next hops that cannot be.

    Source: documentation, vpc/concepts/routing.
    """
    destinations = [_network(route.destination_prefix) for route in table.static_routes]
    if len(set(destinations)) != len(destinations):
        raise invalid("two routes have one destination", "static_routes")
    for route, destination in zip(table.static_routes, destinations, strict=True):
        if destination.is_link_local:
            raise invalid(f"no route leads to the link-local addresses {destination}", "static_routes")
        _check_hop(store, route)


def _check_hop(store: Store, route: StaticRoute) -> None:
    """A gateway takes the default route alone; the address of a listener forwards nothing."""
    hop = route.WhichOneof("next_hop")
    if hop is None:
        raise invalid(f"the route to {route.destination_prefix} has no next hop", "static_routes")
    if hop == "next_hop_address":
        address = str(_address(route.next_hop_address))
        balancers = store.all(NetworkLoadBalancer)
        if any(listener.address == address for balancer in balancers for listener in balancer.listeners):
            raise invalid(f"the next hop {address} is the address of a load balancer's listener", "static_routes")
    else:
        require(store, Gateway, route.gateway_id)
        if route.destination_prefix != ANY_IPV4:
            raise invalid(f"a gateway is the next hop to {ANY_IPV4} alone", "static_routes")


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
