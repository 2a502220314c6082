"""The RPCs of yandex.cloud.vpc for networks and subnets."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from google.protobuf.message import Message
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.reference.reference_pb2 import Reference
from yandex.cloud.vpc.v1 import network_service_pb2 as networks
from yandex.cloud.vpc.v1 import subnet_service_pb2 as subnets
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroup
from yandex.cloud.vpc.v1.subnet_pb2 import IPV4, Subnet

from samovar.localcloud.api.errors import invalid, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.zones.model import check_zone
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import fill, require, stamp, update
from samovar.localcloud.resources.rpc import WithOperations, page
from samovar.localcloud.vpc.addresses.model import Ipam
from samovar.localcloud.vpc.networks.model import Networks, Subnets, check_ranges
from samovar.localcloud.vpc.routes.model import check_route_table
from samovar.localcloud.vpc.security_groups.model import default_group


class NetworkService(WithOperations[Network]):
    """A network is made with a default security group, which is deleted with it."""

    def __init__(self, networks: Networks, operations: Operations) -> None:
        super().__init__(networks, operations)
        self._networks = networks

    def Create(self, request: networks.CreateNetworkRequest, caller: Caller) -> Operation:
        self.resources.admit(request.folder_id, request.name)
        network = Network(id=self.resources.new_id())
        fill(network, request)
        stamp(network)
        group = default_group(network)
        self.store.put(group)
        network.default_security_group_id = group.id
        self._networks.add(network)
        metadata = networks.CreateNetworkMetadata(network_id=network.id)
        return self.operations.done(caller, "Create network", metadata, network)

    def Update(self, request: networks.UpdateNetworkRequest, caller: Caller) -> Operation:
        network = self.find(request)
        update(network, request, self.id_field)
        self.resources.claim_name(network.folder_id, network.name, network.id)
        metadata = networks.UpdateNetworkMetadata(network_id=network.id)
        return self.stored(caller, "Update network", metadata, network)

    def Delete(self, request: networks.DeleteNetworkRequest, caller: Caller) -> Operation:
        network = self.find(request)
        if contents := self._networks.contents(network):
            raise precondition(f"Network {network.id} is not empty: it has {', '.join(contents)}")
        self.store.delete(SecurityGroup, network.default_security_group_id)
        self.resources.delete(network.id)
        return self.operations.deleted(caller, "Delete network", networks.DeleteNetworkMetadata(network_id=network.id))

    def ListSubnets(self, request: networks.ListNetworkSubnetsRequest, _: Caller) -> Message:
        return page(request, self._networks.subnets(self.find(request).id))

    def ListSecurityGroups(self, request: networks.ListNetworkSecurityGroupsRequest, _: Caller) -> Message:
        return page(request, self._networks.security_groups(self.find(request).id))

    def ListRouteTables(self, request: networks.ListNetworkRouteTablesRequest, _: Caller) -> Message:
        return page(request, self._networks.route_tables(self.find(request).id))


class SubnetService(WithOperations[Subnet]):
    """A range of a subnet goes only while nothing uses an address of it."""

    def __init__(self, subnets: Subnets, operations: Operations, ipam: Ipam) -> None:
        super().__init__(subnets, operations)
        self._subnets = subnets
        self._ipam = ipam

    def Create(self, request: subnets.CreateSubnetRequest, caller: Caller) -> Operation:
        require(self.store, Network, request.network_id)
        check_zone(request.zone_id)
        self.resources.admit(request.folder_id, request.name)
        siblings = Networks(self.store).subnets(request.network_id)
        check_ranges(list(request.v4_cidr_blocks), siblings)
        check_route_table(self.store, request.route_table_id, request.network_id)
        subnet = Subnet(id=self.resources.new_id())
        fill(subnet, request)
        stamp(subnet)
        self._subnets.add(subnet, siblings)
        metadata = subnets.CreateSubnetMetadata(subnet_id=subnet.id)
        return self.operations.done(caller, "Create subnet", metadata, subnet)

    def Update(self, request: subnets.UpdateSubnetRequest, caller: Caller) -> Operation:
        subnet = self.find(request)
        before = list(subnet.v4_cidr_blocks)
        update(subnet, request, self.id_field)
        ranges = list(subnet.v4_cidr_blocks) or before
        check_route_table(self.store, subnet.route_table_id, subnet.network_id)
        self.resources.claim_name(subnet.folder_id, subnet.name, subnet.id)
        self._set_ranges(subnet, ranges)
        metadata = subnets.UpdateSubnetMetadata(subnet_id=subnet.id)
        return self.operations.done(caller, "Update subnet", metadata, subnet)

    def AddCidrBlocks(self, request: subnets.AddSubnetCidrBlocksRequest, caller: Caller) -> Operation:
        subnet = self.find(request)
        self._set_ranges(subnet, [*subnet.v4_cidr_blocks, *request.v4_cidr_blocks])
        metadata = subnets.AddSubnetCidrBlocksMetadata(subnet_id=subnet.id)
        return self.operations.done(caller, "Add CIDR blocks", metadata, subnet)

    def RemoveCidrBlocks(self, request: subnets.RemoveSubnetCidrBlocksRequest, caller: Caller) -> Operation:
        subnet = self.find(request)
        if unknown := set(request.v4_cidr_blocks) - set(subnet.v4_cidr_blocks):
            raise invalid(f"Subnet {subnet.id} has no range {', '.join(sorted(unknown))}", "v4_cidr_blocks")
        self._set_ranges(subnet, [each for each in subnet.v4_cidr_blocks if each not in request.v4_cidr_blocks])
        metadata = subnets.RemoveSubnetCidrBlocksMetadata(subnet_id=subnet.id)
        return self.operations.done(caller, "Remove CIDR blocks", metadata, subnet)

    def _set_ranges(self, subnet: Subnet, ranges: list[str]) -> None:
        """Store the subnet with these ranges; those that go must not be in use."""
        stored = self.resources.by_id(subnet.id)
        removed = [IPv4Network(cidr) for cidr in stored.v4_cidr_blocks if cidr not in ranges]
        _check_unused(subnet, (each for each in self._ipam.used_in(stored) if any(each in cidr for cidr in removed)))
        siblings = [each for each in Networks(self.store).subnets(subnet.network_id) if each.id != subnet.id]
        check_ranges(ranges, siblings)
        subnet.v4_cidr_blocks[:] = ranges
        self._subnets.add(subnet, siblings)

    def Delete(self, request: subnets.DeleteSubnetRequest, caller: Caller) -> Operation:
        subnet = self.find(request)
        _check_unused(subnet, self._ipam.used_in(subnet))
        self.resources.delete(subnet.id)
        return self.operations.deleted(caller, "Delete subnet", subnets.DeleteSubnetMetadata(subnet_id=subnet.id))

    def ListUsedAddresses(self, request: subnets.ListUsedAddressesRequest, _: Caller) -> Message:
        used = [
            subnets.UsedAddress(
                address=str(address),
                ip_version=IPV4,
                references=[Reference(referrer=user, type=Reference.USED_BY)],
            )
            for address, user in sorted(self._ipam.users_in(self.find(request).id), key=lambda use: use[0])
        ]
        return page(request, used)


def _check_unused(subnet: Subnet, addresses: Iterable[IPv4Address]) -> None:
    """Refuse to take addresses that are in use away from a subnet."""
    if used := ", ".join(map(str, sorted(addresses))):
        raise precondition(f"Subnet {subnet.id} is not empty: {used} in use")


SERVICES = (
    Service(networks, "vpc", lambda context: NetworkService(Networks(context.store), context.operations), Networks),
    Service(
        subnets,
        "vpc",
        lambda context: SubnetService(Subnets(context.store), context.operations, Ipam(context.store, context.number)),
        Subnets,
    ),
)
