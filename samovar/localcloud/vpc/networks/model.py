"""Networks and subnets in the store. Each has a number, of which the names of bridges and namespaces are made."""

from __future__ import annotations

import ipaddress

from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroup
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import invalid, precondition
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository
from samovar.localcloud.store.store import NoteKey, Store

INDEX = NoteKey[int]("network.index")
MAX_INDEX = 99
SMALLEST, LARGEST = 28, 16
"""Prefix lengths that a subnet may have."""
PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""The ranges of RFC 1918. Of other ranges that lead nowhere a network has addresses itself, such as metadata."""


class Networks(Repository[Network]):
    """A network is a name for subnets that reach each other; each is isolated from all others."""

    kind, id_prefix = Network, "enp"
    count_quota = Quota("vpc.networks.count", Network, 2)

    def add(self, network: Network) -> None:
        """Store a new network under a free number."""
        self.put(network)
        self.store.note(network.id, INDEX, free_index(self.store, [other.id for other in self.store.all(Network)]))

    def subnets(self, network_id: str) -> list[Subnet]:
        return [subnet for subnet in self.store.all(Subnet) if subnet.network_id == network_id]

    def security_groups(self, network_id: str) -> list[SecurityGroup]:
        return [group for group in self.store.all(SecurityGroup) if group.network_id == network_id]

    def route_tables(self, network_id: str) -> list[RouteTable]:
        return [table for table in self.store.all(RouteTable) if table.network_id == network_id]

    def contents(self, network: Network) -> list[str]:
        """Return the ids of what keeps a network from being deleted; its default security group does not."""
        subnets = [subnet.id for subnet in self.subnets(network.id)]
        tables = [table.id for table in self.route_tables(network.id)]
        groups = [group.id for group in self.security_groups(network.id)]
        return [*subnets, *tables, *(group for group in groups if group != network.default_security_group_id)]


class Subnets(Repository[Subnet]):
    """A subnet is one or more address ranges of a network in one zone; each range has a number of its own."""

    kind, id_prefix = Subnet, "e9b"
    count_quota = Quota("vpc.subnets.count", Subnet, 12)

    def add(self, subnet: Subnet, siblings: list[Subnet]) -> None:
        """Store a subnet. A range that it had before keeps its number, any other gets a free one of the network."""
        before = self.by_id(subnet.id) if self.store.get(Subnet, subnet.id) else Subnet()
        numbers = range_indexes(self.store, before)
        taken = [number for other in [*siblings, before] for number in range_indexes(self.store, other).values()]
        self.put(subnet)
        for position in range(len(before.v4_cidr_blocks)):
            self.store.forget(subnet.id, _key(position))
        for position, cidr in enumerate(subnet.v4_cidr_blocks):
            taken.append(numbers.get(cidr) or _free(taken))
            self.store.note(subnet.id, _key(position), taken[-1])


def network_of(store: Store, instance: Instance) -> str:
    """Return the id of the network that an instance's interface is in."""
    return store.must(Subnet, instance.network_interfaces[0].subnet_id).network_id


def range_indexes(store: Store, subnet: Subnet) -> dict[str, int]:
    """Return the number of each range of a subnet."""
    return {cidr: store.must_note(subnet.id, _key(position)) for position, cidr in enumerate(subnet.v4_cidr_blocks)}


def _key(position: int) -> NoteKey[int]:
    return NoteKey[int](f"{INDEX.name}.{position}") if position else INDEX


def free_index(store: Store, others: list[str]) -> int:
    """Return the lowest number that none of the other resources has."""
    return _free([store.noted(other, INDEX, 0) for other in others])


def _free(taken: list[int]) -> int:
    free = next((index for index in range(1, MAX_INDEX + 1) if index not in taken), None)
    if free is None:
        raise precondition(f"the local cloud has at most {MAX_INDEX} of them")
    return free


def check_ranges(ranges: list[str], siblings: list[Subnet]) -> None:
    """Refuse a range that is not private, or that overlaps another one of this subnet or of its network."""
    if not ranges:
        raise invalid("a subnet has an IPv4 range", "v4_cidr_blocks")
    taken = [(_range(cidr), f"{cidr} of subnet {other.id}") for other in siblings for cidr in other.v4_cidr_blocks]
    for requested in map(_range, ranges):
        for other, name in taken:
            if requested.overlaps(other):
                raise precondition(f"{requested} overlaps {name}")
        taken.append((requested, str(requested)))


def _range(text: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise invalid(f"{text}: {error}", "v4_cidr_blocks") from error
    if not LARGEST <= network.prefixlen <= SMALLEST or not any(map(network.subnet_of, PRIVATE)):
        raise invalid(f"{text} is not a private range between /{LARGEST} and /{SMALLEST}", "v4_cidr_blocks")
    return network
