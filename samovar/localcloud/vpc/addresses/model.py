"""The addresses in use and the next free one. They are read off the resources that use them, never counted apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from google.rpc.code_pb2 import Code
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import NetworkLoadBalancer
from yandex.cloud.reference.reference_pb2 import Referrer
from yandex.cloud.vpc.v1.address_pb2 import Address
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import Refused, invalid, precondition
from samovar.localcloud.network.names import PUBLIC
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository
from samovar.localcloud.store.store import Store

RESERVED = 3  # the network's own, the gateway (.1), the name server (.2)


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
        """Returns a public address: the requested one, or the next free one, and none of `besides`.

        With `reserved` the requested one may be one that was reserved before, as long as nothing else uses it.
        """
        taken = {*_public_in_use(self._store), *besides}
        if not reserved:
            taken |= {IPv4Address(a.external_ipv4_address.address) for a in self._reserved("external_ipv4_address")}
        return _choose(requested, self._public.hosts(), taken, str(self._public))

    def internal(
        self, subnet: Subnet, requested: str = "", *, reserved: bool = False, besides: Iterable[IPv4Address] = ()
    ) -> IPv4Address:
        """Returns an address of a subnet, by the same rules, and none of `besides`, which are not stored yet."""
        networks = list(map(IPv4Network, subnet.v4_cidr_blocks))
        taken = {*self._internal_in_use(subnet.id), *besides}
        if not reserved:
            taken |= {IPv4Address(a.internal_ipv4_address.address) for a in self._reserved_in(subnet.id)}
        usable = (each[number] for each in networks for number in range(RESERVED, each.num_addresses - 1))
        return _choose(requested, usable, taken, ", ".join(map(str, networks)))

    def used_in(self, subnet: Subnet) -> frozenset[IPv4Address]:
        """Returns everything in a subnet that keeps it from being deleted."""
        reserved = {IPv4Address(a.internal_ipv4_address.address) for a in self._reserved_in(subnet.id)}
        return frozenset(self._internal_in_use(subnet.id)) | reserved

    def is_used(self, address: Address) -> bool:
        if address.WhichOneof("address") == "internal_ipv4_address":
            internal = address.internal_ipv4_address
            return IPv4Address(internal.address) in set(self._internal_in_use(internal.subnet_id))
        return IPv4Address(address.external_ipv4_address.address) in set(_public_in_use(self._store))

    def foreign(self) -> tuple[str, ...]:
        """Returns a warning for each public address of another cloud of this host: no machine of this one answers."""
        strange = sorted(address for address in public_addresses(self._store) if address not in self._public)
        return tuple(
            f"{address} is not an address of this cloud ({self._public}), and is not answered by it; remedy: "
            "delete what has it (balancer, machine, reserved address) and roll out again"
            for address in strange
        )

    def users_in(self, subnet_id: str) -> Iterator[tuple[IPv4Address, Referrer]]:
        """Yields the addresses of a subnet that are in use, each with what uses it."""
        for balancer in self._store.all(NetworkLoadBalancer):
            user = Referrer(type="loadbalancer.networkLoadBalancer", id=balancer.id)
            for listener in balancer.listeners:
                if balancer.type == NetworkLoadBalancer.INTERNAL and listener.subnet_id == subnet_id:
                    yield IPv4Address(listener.address), user
        for instance in self._store.all(Instance):
            user = Referrer(type="compute.instance", id=instance.id)
            for nic in instance.network_interfaces:
                if nic.subnet_id == subnet_id:
                    yield IPv4Address(nic.primary_v4_address.address), user

    def _internal_in_use(self, subnet_id: str) -> Iterator[IPv4Address]:
        return (address for address, _ in self.users_in(subnet_id))

    def _reserved(self, which: str) -> list[Address]:
        return _reserved(self._store, which)

    def _reserved_in(self, subnet_id: str) -> list[Address]:
        return [a for a in self._reserved("internal_ipv4_address") if a.internal_ipv4_address.subnet_id == subnet_id]


def numbers_in_use(store: Store) -> frozenset[int]:
    """Returns the numbers of clouds of whose addresses the store holds any: one, unless its home had another once."""
    return frozenset(address.packed[2] for address in public_addresses(store))


def public_addresses(store: Store) -> frozenset[IPv4Address]:
    """Returns every public address that the store holds: in use, or reserved."""
    reserved = {IPv4Address(each.external_ipv4_address.address) for each in _reserved(store, "external_ipv4_address")}
    return frozenset(address for address in reserved | set(_public_in_use(store)) if address in PUBLIC)


def _reserved(store: Store, which: str) -> list[Address]:
    return [address for address in store.all(Address) if address.WhichOneof("address") == which]


def _public_in_use(store: Store) -> Iterator[IPv4Address]:
    for balancer in store.all(NetworkLoadBalancer):
        if balancer.type == NetworkLoadBalancer.EXTERNAL:
            yield from (IPv4Address(listener.address) for listener in balancer.listeners)
    for instance in store.all(Instance):
        for nic in instance.network_interfaces:
            if nic.primary_v4_address.one_to_one_nat.address:
                yield IPv4Address(nic.primary_v4_address.one_to_one_nat.address)


def _choose(requested: str, usable: Iterable[IPv4Address], taken: set[IPv4Address], where: str) -> IPv4Address:
    if not requested:
        free = next((address for address in usable if address not in taken), None)
        if free is None:
            raise Refused(Code.RESOURCE_EXHAUSTED, f"{where} has no free address")
        return free
    try:
        address = IPv4Address(requested)
    except AddressValueError as error:
        raise invalid(f"{requested} is not an IPv4 address") from error
    if address in taken:
        raise precondition(f"Address {requested} is in use")
    if address not in set(usable):
        raise invalid(f"{requested} is not a usable address of {where}")
    return address
