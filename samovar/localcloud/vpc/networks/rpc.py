"""yandex.cloud.vpc: networks and subnets."""

from __future__ import annotations

import ipaddress

from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.reference.reference_pb2 import Reference
from yandex.cloud.vpc.v1 import network_service_pb2 as networks
from yandex.cloud.vpc.v1 import subnet_service_pb2 as subnets
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroup
from yandex.cloud.vpc.v1.subnet_pb2 import IPV4, Subnet

from samovar.localcloud.api.errors import invalid, not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.resources.model import ResourceService, fill, page, stamp, update
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.addresses.model import Addressing
from samovar.localcloud.vpc.routes.rpc import check_route_table
from samovar.localcloud.vpc.security_groups.rpc import default_group

INDEX = "network.index"
MOST = 99
SMALLEST, LARGEST = 28, 16


class NetworkService(ResourceService[Network]):
    """A network is a name for subnets that reach each other; each is isolated from all others."""

    kind, noun, id_field = Network, "Network", "network_id"

    def List(self, request: networks.ListNetworksRequest, _: Caller) -> networks.ListNetworksResponse:
        found = self.store.all(Network, scope=request.folder_id)
        return page(request, networks.ListNetworksResponse(), "networks", found)

    def Create(self, request: networks.CreateNetworkRequest, caller: Caller) -> Operation:
        self.admit(request.folder_id, request.name)
        network = Network(id=new_id("network"))
        fill(network, request)
        stamp(network)
        group = default_group(network)
        self.store.put(group)
        network.default_security_group_id = group.id
        self.store.put(network)
        self.store.note(network.id, INDEX, free_index(self.store, [n.id for n in self.store.all(Network)]))
        metadata = networks.CreateNetworkMetadata(network_id=network.id)
        return self.operations.done(caller, "Create network", metadata, network)

    def Update(self, request: networks.UpdateNetworkRequest, caller: Caller) -> Operation:
        network = self.find(request)
        update(network, request, self.id_field)
        self.claim_name(network.folder_id, network.name, network.id)
        self.store.put(network)
        metadata = networks.UpdateNetworkMetadata(network_id=network.id)
        return self.operations.done(caller, "Update network", metadata, network)

    def Delete(self, request: networks.DeleteNetworkRequest, caller: Caller) -> Operation:
        network = self.find(request)
        if used := self._contents(network):
            raise precondition(f"Network {network.id} is not empty: it has {', '.join(used)}")
        self.store.delete(SecurityGroup, network.default_security_group_id)
        self.store.delete(Network, network.id)
        return self.operations.gone(caller, "Delete network", networks.DeleteNetworkMetadata(network_id=network.id))

    def ListSubnets(
        self, request: networks.ListNetworkSubnetsRequest, _: Caller
    ) -> networks.ListNetworkSubnetsResponse:
        network = self.find(request)
        found = [subnet for subnet in self.store.all(Subnet) if subnet.network_id == network.id]
        return page(request, networks.ListNetworkSubnetsResponse(), "subnets", found)

    def ListSecurityGroups(
        self, request: networks.ListNetworkSecurityGroupsRequest, _: Caller
    ) -> networks.ListNetworkSecurityGroupsResponse:
        network = self.find(request)
        found = [group for group in self.store.all(SecurityGroup) if group.network_id == network.id]
        return page(request, networks.ListNetworkSecurityGroupsResponse(), "security_groups", found)

    def ListRouteTables(
        self, request: networks.ListNetworkRouteTablesRequest, _: Caller
    ) -> networks.ListNetworkRouteTablesResponse:
        network = self.find(request)
        found = [table for table in self.store.all(RouteTable) if table.network_id == network.id]
        return page(request, networks.ListNetworkRouteTablesResponse(), "route_tables", found)

    def ListOperations(
        self, request: networks.ListNetworkOperationsRequest, _: Caller
    ) -> networks.ListNetworkOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, networks.ListNetworkOperationsResponse(), "operations", found)

    def _contents(self, network: Network) -> list[str]:
        """What keeps a network from being deleted; its default security group goes with it."""
        subnets = [subnet.id for subnet in self.store.all(Subnet) if subnet.network_id == network.id]
        tables = [table.id for table in self.store.all(RouteTable) if table.network_id == network.id]
        groups = [group.id for group in self.store.all(SecurityGroup) if group.network_id == network.id]
        return [*subnets, *tables, *(group for group in groups if group != network.default_security_group_id)]


class SubnetService(ResourceService[Subnet]):
    """A subnet is an address range of a network in one zone."""

    kind, noun, id_field = Subnet, "Subnet", "subnet_id"

    def __init__(self, store: Store, operations: Operations, addressing: Addressing) -> None:
        super().__init__(store, operations)
        self._addressing = addressing

    def List(self, request: subnets.ListSubnetsRequest, _: Caller) -> subnets.ListSubnetsResponse:
        found = self.store.all(Subnet, scope=request.folder_id)
        return page(request, subnets.ListSubnetsResponse(), "subnets", found)

    def Create(self, request: subnets.CreateSubnetRequest, caller: Caller) -> Operation:
        if self.store.get(Network, request.network_id) is None:
            raise not_found("Network", request.network_id)
        self.admit(request.folder_id, request.name)
        siblings = [other for other in self.store.all(Subnet) if other.network_id == request.network_id]
        self._check_ranges(request, siblings)
        check_route_table(self.store, request.route_table_id, request.network_id)
        subnet = Subnet(id=new_id("subnet"))
        fill(subnet, request)
        stamp(subnet)
        self.store.put(subnet)
        self.store.note(subnet.id, INDEX, free_index(self.store, [other.id for other in siblings]))
        metadata = subnets.CreateSubnetMetadata(subnet_id=subnet.id)
        return self.operations.done(caller, "Create subnet", metadata, subnet)

    def Update(self, request: subnets.UpdateSubnetRequest, caller: Caller) -> Operation:
        subnet = self.find(request)
        before = list(subnet.v4_cidr_blocks)
        update(subnet, request, self.id_field)
        if not subnet.v4_cidr_blocks:
            subnet.v4_cidr_blocks.extend(before)
        if before != list(subnet.v4_cidr_blocks):
            raise precondition("the local cloud does not change the address range of a subnet")
        check_route_table(self.store, subnet.route_table_id, subnet.network_id)
        self.claim_name(subnet.folder_id, subnet.name, subnet.id)
        self.store.put(subnet)
        metadata = subnets.UpdateSubnetMetadata(subnet_id=subnet.id)
        return self.operations.done(caller, "Update subnet", metadata, subnet)

    def Delete(self, request: subnets.DeleteSubnetRequest, caller: Caller) -> Operation:
        subnet = self.find(request)
        if used := self._addressing.used_in(subnet):
            raise precondition(f"Subnet {subnet.id} is not empty: {', '.join(map(str, sorted(used)))} in use")
        self.store.delete(Subnet, subnet.id)
        return self.operations.gone(caller, "Delete subnet", subnets.DeleteSubnetMetadata(subnet_id=subnet.id))

    def ListOperations(
        self, request: subnets.ListSubnetOperationsRequest, _: Caller
    ) -> subnets.ListSubnetOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, subnets.ListSubnetOperationsResponse(), "operations", found)

    def ListUsedAddresses(
        self, request: subnets.ListUsedAddressesRequest, _: Caller
    ) -> subnets.ListUsedAddressesResponse:
        found = [
            subnets.UsedAddress(
                address=str(address),
                ip_version=IPV4,
                references=[Reference(referrer=user, type=Reference.USED_BY)],
            )
            for address, user in sorted(self._addressing.users_in(self.find(request).id), key=lambda use: use[0])
        ]
        return page(request, subnets.ListUsedAddressesResponse(), "addresses", found)

    def _check_ranges(self, request: subnets.CreateSubnetRequest, siblings: list[Subnet]) -> None:
        if len(request.v4_cidr_blocks) != 1:
            raise invalid("the local cloud's subnets have exactly one IPv4 range", "v4_cidr_blocks")
        wanted = _range(request.v4_cidr_blocks[0])
        for other in siblings:
            if wanted.overlaps(_range(other.v4_cidr_blocks[0])):
                raise precondition(f"{wanted} overlaps {other.v4_cidr_blocks[0]} of subnet {other.id}")


def free_index(store: Store, others: list[str]) -> int:
    """The lowest number that none of the other resources has; names of bridges and namespaces are made of it."""
    taken = {store.noted(other, INDEX) for other in others}
    free = next((index for index in range(1, MOST + 1) if index not in taken), None)
    if free is None:
        raise precondition(f"the local cloud has at most {MOST} of them")
    return free


def _range(text: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise invalid(f"{text}: {error}", "v4_cidr_blocks") from error
    if not LARGEST <= network.prefixlen <= SMALLEST or not network.is_private or network.is_loopback:
        raise invalid(f"{text} is not a private range between /{LARGEST} and /{SMALLEST}", "v4_cidr_blocks")
    return network
