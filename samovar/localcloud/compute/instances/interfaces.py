"""The network interfaces of instances: their numbers, addresses and DNS records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from yandex.cloud.compute.v1 import instance_service_pb2 as rpc
from yandex.cloud.compute.v1.instance_pb2 import IPV4, DnsRecord, Instance, NetworkInterface
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import invalid, precondition, unimplemented
from samovar.localcloud.compute.instances.hostnames import check_record
from samovar.localcloud.resources.model import copy_field, fill, require
from samovar.localcloud.store.store import NoteKey, Store
from samovar.localcloud.vpc.addresses.model import Ipam
from samovar.localcloud.vpc.security_groups.model import check_security_groups

MOST = 8
"""Interfaces of an instance, as the documentation of Compute Cloud has it; a machine of this host has one."""
RELEASED = NoteKey[list[str]]("instance.released")
"""A note on an instance: the dynamic public addresses that it had until it was stopped."""


class Interfaces:
    """Interfaces lie in the instance's message; who changes one stores the instance."""

    def __init__(self, store: Store, ipam: Ipam, *, simulated: bool) -> None:
        self._store = store
        self._ipam = ipam
        self._most = MOST if simulated else 1

    def plug(
        self, instance: Instance, spec: rpc.NetworkInterfaceSpec | rpc.AttachInstanceNetworkInterfaceRequest
    ) -> NetworkInterface:
        """Add an interface, under the number that the request names or the next free one."""
        if len(instance.network_interfaces) >= self._most:
            raise precondition(f"an instance of this local cloud has at most {self._most} network interfaces")
        subnet = self._subnet(instance, spec.subnet_id)
        if isinstance(spec, rpc.NetworkInterfaceSpec) and spec.HasField("primary_v6_address_spec"):
            raise unimplemented("an IPv6 address")
        check_security_groups(self._store, subnet.network_id, spec.security_group_ids)
        nic = NetworkInterface(
            index=_number(instance, spec), subnet_id=subnet.id, security_group_ids=spec.security_group_ids
        )
        self._set_address(instance, nic, subnet, spec.primary_v4_address_spec)
        instance.network_interfaces.append(nic)
        self._check_one_network(instance)
        return nic

    def unplug(self, instance: Instance, nic: NetworkInterface) -> None:
        """Remove an interface; an instance keeps one."""
        if len(instance.network_interfaces) == 1:
            raise precondition(f"Instance {instance.id} has no other network interface")
        instance.network_interfaces.remove(nic)

    def update(
        self,
        instance: Instance,
        nic: NetworkInterface,
        request: rpc.UpdateInstanceNetworkInterfaceRequest,
        paths: frozenset[str],
    ) -> None:
        """Give an interface what the request says of it; the machine must be stopped to get another address."""
        address = request.primary_v4_address_spec.address
        moves = "subnet_id" in paths or address not in {"", nic.primary_v4_address.address}
        if moves and instance.status != Instance.STOPPED:
            raise precondition(f"Instance {instance.id} must be STOPPED to change {', '.join(sorted(paths))}")
        if "primary_v6_address_spec" in paths and request.HasField("primary_v6_address_spec"):
            raise unimplemented("an IPv6 address")
        if "subnet_id" in paths:
            nic.subnet_id = request.subnet_id
        subnet = self._subnet(instance, nic.subnet_id)
        if "security_group_ids" in paths:
            check_security_groups(self._store, subnet.network_id, request.security_group_ids)
            copy_field(request, nic, "security_group_ids")
        if paths & {"subnet_id", "primary_v4_address_spec"}:
            self._set_address(instance, nic, subnet, request.primary_v4_address_spec, keep="subnet_id" not in paths)

    def _subnet(self, instance: Instance, subnet_id: str) -> Subnet:
        """Return the subnet, which must be in the zone of the instance."""
        subnet = require(self._store, Subnet, subnet_id)
        if subnet.zone_id != instance.zone_id:
            raise invalid(f"Subnet {subnet.id} is in {subnet.zone_id}, the instance in {instance.zone_id}", "subnet_id")
        return subnet

    def _check_one_network(self, instance: Instance) -> None:
        """Refuse interfaces in several networks: a controller works on an instance within one network."""
        subnets = [self._store.must(Subnet, nic.subnet_id) for nic in instance.network_interfaces]
        if len({subnet.network_id for subnet in subnets}) > 1:
            raise unimplemented("an instance in several networks")

    def _set_address(
        self,
        instance: Instance,
        nic: NetworkInterface,
        subnet: Subnet,
        spec: rpc.PrimaryAddressSpec,
        *,
        keep: bool = False,
    ) -> None:
        """Give an interface the requested addresses, or free ones, and the DNS records that lead to it.

        With `keep` it keeps the address that it has, unless another one is requested.
        """
        current = nic.primary_v4_address.address
        others = [other for other in instance.network_interfaces if other.index != nic.index]
        if not (keep and spec.address in {"", current}):
            own = [IPv4Address(o.primary_v4_address.address) for o in others if o.subnet_id == subnet.id]
            address = self._ipam.internal(subnet, spec.address, reserved=bool(spec.address), besides=own)
            nic.mac_address, nic.primary_v4_address.address = _mac(address), str(address)
        if spec.HasField("one_to_one_nat_spec"):
            self.set_public(instance, nic, spec.one_to_one_nat_spec.address)
        del nic.primary_v4_address.dns_records[:]
        nic.primary_v4_address.dns_records.extend(map(_dns_record, spec.dns_record_specs))

    def set_public(self, instance: Instance, nic: NetworkInterface, requested: str) -> None:
        """Give an interface the requested public address, or a free one. It keeps its own unless another is named.

        A stopped machine gets a free one when it starts. A reserved address is of the machine's zone (documentation,
        compute/operations/vm-control/vm-attach-public-ip).
        """
        primary = nic.primary_v4_address
        if primary.HasField("one_to_one_nat") and requested in {"", primary.one_to_one_nat.address}:
            return
        reserved = self._ipam.reserved(requested) if requested else None
        if reserved and reserved.external_ipv4_address.zone_id not in {"", instance.zone_id}:
            raise invalid(f"Address {requested} is of another zone than the instance, {instance.zone_id}", "address")
        primary.one_to_one_nat.ip_version = IPV4
        if requested or instance.status != Instance.STOPPED:
            taken = _public(instance.network_interfaces)
            address = self._ipam.public(requested, reserved=bool(requested), besides=taken)
            primary.one_to_one_nat.address = str(address)

    def release(self, instance: Instance) -> None:
        """Take the dynamic public addresses of a machine that was stopped (documentation, vpc/concepts/address)."""
        addresses = map(str, _public(instance.network_interfaces))
        if dynamic := [each for each in addresses if not self._ipam.reserved(each)]:
            self._store.note(instance.id, RELEASED, dynamic)
        for nic in instance.network_interfaces:
            if nic.primary_v4_address.one_to_one_nat.address in dynamic:
                nic.primary_v4_address.one_to_one_nat.address = ""

    def assign(self, instance: Instance) -> None:
        """Give a machine that starts other public addresses in the place of those that it lost."""
        lost = [IPv4Address(each) for each in self._store.noted(instance.id, RELEASED) or ()]
        for nic in instance.network_interfaces:
            primary = nic.primary_v4_address
            if primary.HasField("one_to_one_nat") and not primary.one_to_one_nat.address:
                taken = [*_public(instance.network_interfaces), *lost]
                primary.one_to_one_nat.address = str(self._ipam.public(besides=taken))


def _number(instance: Instance, spec: rpc.NetworkInterfaceSpec | rpc.AttachInstanceNetworkInterfaceRequest) -> str:
    requested = spec.index if isinstance(spec, rpc.NetworkInterfaceSpec) else spec.network_interface_index
    taken = {nic.index for nic in instance.network_interfaces}
    if requested in taken:
        raise invalid(f"Instance {instance.id} has a network interface {requested} already", "index")
    return requested or next(str(number) for number in range(MOST) if str(number) not in taken)


def _public(interfaces: Iterable[NetworkInterface]) -> Iterator[IPv4Address]:
    for nic in interfaces:
        if nic.primary_v4_address.one_to_one_nat.address:
            yield IPv4Address(nic.primary_v4_address.one_to_one_nat.address)


def _dns_record(spec: rpc.DnsRecordSpec) -> DnsRecord:
    check_record(spec.fqdn)
    record = DnsRecord()
    fill(record, spec)
    return record


def _mac(address: IPv4Address) -> str:
    return "0e:00:" + ":".join(f"{octet:02x}" for octet in address.packed)
