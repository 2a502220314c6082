"""The addresses in use and the next free one. They are read off the resources that use them, never counted apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from itertools import chain

from google.rpc.code_pb2 import Code
from yandex.cloud.compute.v1.instance_pb2 import Instance, NetworkInterface
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import NetworkLoadBalancer
from yandex.cloud.reference.reference_pb2 import Referrer
from yandex.cloud.vpc.v1.address_pb2 import Address
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import Refused, invalid, precondition
from samovar.localcloud.network.names import PUBLIC
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository
from samovar.localcloud.store.derived_values import Derived
from samovar.localcloud.store.store import Store

RESERVED = 3  # the network's own, the gateway (.1), the name server (.2)


@dataclass(frozen=True)
class InterfaceAddresses:
    """The addresses of an instance's interface in a subnet."""

    subnet_id: str
    internal: IPv4Address
    public: IPv4Address | None


def _addresses(instance: Instance) -> tuple[InterfaceAddresses, ...]:
    return tuple(_of_interface(nic) for nic in instance.network_interfaces)


def _of_interface(nic: NetworkInterface) -> InterfaceAddresses:
    public = nic.primary_v4_address.one_to_one_nat.address
    internal = IPv4Address(nic.primary_v4_address.address)
    return InterfaceAddresses(nic.subnet_id, internal, IPv4Address(public) if public else None)


ADDRESSES = Derived(Instance, _addresses)


class Addresses(Repository[Address]):
    """The reserved addresses, public and internal; public ones alone are under the quota."""

    kind, id_prefix = Address, "e9b"
    count_quota = Quota(
        "vpc.externalStaticAddresses.count", Address, 2, lambda address: address.HasField("external_ipv4_address")
    )


class Ipam:
    """Public addresses of one cloud are 127.66.<number>.1-254; internal ones belong to a subnet."""

    def __init__(self, store: Store, number: int) -> None:
        self._store = store
        self._public = IPv4Network(f"127.66.{number}.0/24")

    def public(
        self, requested: str = "", *, reserved: bool = False, besides: Iterable[IPv4Address] = ()
    ) -> IPv4Address:
        """Return a public address: the requested one, or the next free one, and none of `besides`.

        With `reserved` the requested one may be one that was reserved before, as long as nothing else uses it.
        """
        held = () if reserved else (a.external_ipv4_address.address for a in self._reserved("external_ipv4_address"))
        taken = chain(_public_in_use(self._store), besides, map(IPv4Address, held))
        return _choose(requested, [_inner(self._public, 1)], taken, str(self._public))

    def internal(
        self, subnet: Subnet, requested: str = "", *, reserved: bool = False, besides: Iterable[IPv4Address] = ()
    ) -> IPv4Address:
        """Return an address of a subnet, by the same rules, and none of `besides`, which are not stored yet."""
        networks = list(map(IPv4Network, subnet.v4_cidr_blocks))
        held = () if reserved else (a.internal_ipv4_address.address for a in self._reserved_in(subnet.id))
        taken = chain(self._internal_in_use(subnet.id), besides, map(IPv4Address, held))
        usable = [_inner(network, RESERVED) for network in networks]
        return _choose(requested, usable, taken, ", ".join(map(str, networks)))

    def used_in(self, subnet: Subnet) -> frozenset[IPv4Address]:
        """Return everything in a subnet that keeps it from being deleted."""
        reserved = {IPv4Address(a.internal_ipv4_address.address) for a in self._reserved_in(subnet.id)}
        return frozenset(self._internal_in_use(subnet.id)) | reserved

    def is_used(self, address: Address) -> bool:
        if address.WhichOneof("address") == "internal_ipv4_address":
            internal = address.internal_ipv4_address
            return IPv4Address(internal.address) in set(self._internal_in_use(internal.subnet_id))
        return IPv4Address(address.external_ipv4_address.address) in set(_public_in_use(self._store))

    def reserved(self, public: str) -> Address | None:
        """Return the reservation of a public address; a dynamic address has none."""
        return next((each for each in self._reserved("external_ipv4_address") if _value(each) == public), None)

    def foreign(self) -> tuple[str, ...]:
        """Return a warning for each public address of another cloud of this host: no machine of this one answers."""
        strange = sorted(address for address in public_addresses(self._store) if address not in self._public)
        return tuple(
            f"{address} is not an address of this cloud ({self._public}), and is not answered by it; remedy: "
            "delete what has it (balancer, machine, reserved address) and roll out again"
            for address in strange
        )

    def users_in(self, subnet_id: str) -> Iterator[tuple[IPv4Address, Referrer]]:
        """Yield the addresses of a subnet that are in use, each with what uses it."""
        for address, user, user_id in self._users_in(subnet_id):
            yield address, Referrer(type=user, id=user_id)

    def _internal_in_use(self, subnet_id: str) -> Iterator[IPv4Address]:
        return (address for address, _, _ in self._users_in(subnet_id))

    def _users_in(self, subnet_id: str) -> Iterator[tuple[IPv4Address, str, str]]:
        for balancer in self._store.all(NetworkLoadBalancer):
            for listener in balancer.listeners:
                if balancer.type == NetworkLoadBalancer.INTERNAL and listener.subnet_id == subnet_id:
                    yield IPv4Address(listener.address), "loadbalancer.networkLoadBalancer", balancer.id
        for instance_id, interfaces in ADDRESSES.of(self._store).items():
            for interface in interfaces:
                if interface.subnet_id == subnet_id:
                    yield interface.internal, "compute.instance", instance_id

    def _reserved(self, which: str) -> list[Address]:
        return _reserved(self._store, which)

    def _reserved_in(self, subnet_id: str) -> list[Address]:
        return [a for a in self._reserved("internal_ipv4_address") if a.internal_ipv4_address.subnet_id == subnet_id]


def numbers_in_use(store: Store) -> frozenset[int]:
    """Return the number of each cloud whose addresses the store holds: one, unless the home had another before."""
    return frozenset(address.packed[2] for address in public_addresses(store))


def public_addresses(store: Store) -> frozenset[IPv4Address]:
    """Return every public address that the store holds: in use, or reserved."""
    reserved = {IPv4Address(each.external_ipv4_address.address) for each in _reserved(store, "external_ipv4_address")}
    return frozenset(address for address in reserved | set(_public_in_use(store)) if address in PUBLIC)


def _value(address: Address) -> str:
    return address.external_ipv4_address.address


def _reserved(store: Store, which: str) -> list[Address]:
    return [address for address in store.all(Address) if address.WhichOneof("address") == which]


def _public_in_use(store: Store) -> Iterator[IPv4Address]:
    for balancer in store.all(NetworkLoadBalancer):
        if balancer.type == NetworkLoadBalancer.EXTERNAL:
            yield from (IPv4Address(listener.address) for listener in balancer.listeners)
    for interfaces in ADDRESSES.of(store).values():
        yield from (interface.public for interface in interfaces if interface.public)


def _inner(network: IPv4Network, first: int) -> range:
    """Return the addresses of a network, as numbers, from that one on up to its last but one."""
    return range(int(network.network_address) + first, int(network.broadcast_address))


def _choose(requested: str, usable: Sequence[range], addresses_taken: Iterable[IPv4Address], where: str) -> IPv4Address:
    taken = set(map(int, addresses_taken))
    if not requested:
        free = next((number for numbers in usable for number in numbers if number not in taken), None)
        if free is None:
            raise Refused(Code.RESOURCE_EXHAUSTED, f"{where} has no free address")
        return IPv4Address(free)
    try:
        address = IPv4Address(requested)
    except AddressValueError as error:
        raise invalid(f"{requested} is not an IPv4 address") from error
    if int(address) in taken:
        raise precondition(f"Address {requested} is in use")
    if not any(int(address) in numbers for numbers in usable):
        raise invalid(f"{requested} is not a usable address of {where}")
    return address
