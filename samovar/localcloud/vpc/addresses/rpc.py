"""The RPCs of yandex.cloud.vpc for addresses, which are reserved apart from what uses them."""

from __future__ import annotations

from google.protobuf.message import Message
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder
from yandex.cloud.vpc.v1 import address_service_pb2 as rpc
from yandex.cloud.vpc.v1.address_pb2 import Address
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.zones.model import check_zone
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.quota_manager.model import check_quota
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import fill, require, stamp, update
from samovar.localcloud.resources.rpc import WithOperations, page
from samovar.localcloud.vpc.addresses.model import Addresses, Ipam


class AddressService(WithOperations[Address]):
    """A reserved address outlives what uses it."""

    def __init__(self, addresses: Addresses, operations: Operations, ipam: Ipam) -> None:
        super().__init__(addresses, operations)
        self._ipam = ipam

    def Get(self, request: rpc.GetAddressRequest, _: Caller) -> Address:
        return self._with_use(self.find(request))

    def List(self, request: rpc.ListAddressesRequest, _: Caller) -> Message:
        return page(request, map(self._with_use, self.resources.in_folder(request.folder_id)))

    def GetByValue(self, request: rpc.GetAddressByValueRequest, _: Caller) -> Address:
        for address in self.store.all(Address):
            if _matches(request, address):
                return self._with_use(address)
        raise not_found("Address", request.external_ipv4_address or request.internal_ipv4_address)

    def ListBySubnet(self, request: rpc.ListAddressesBySubnetRequest, _: Caller) -> Message:
        in_subnet = (
            address
            for address in self.store.all(Address)
            if address.internal_ipv4_address.subnet_id == request.subnet_id
        )
        return page(request, map(self._with_use, in_subnet))

    def Create(self, request: rpc.CreateAddressRequest, caller: Caller) -> Operation:
        require(self.store, Folder, request.folder_id)
        self.resources.claim_name(request.folder_id, request.name)
        address = Address(id=self.resources.new_id(), reserved=True, type=Address.EXTERNAL, ip_version=Address.IPV4)
        fill(address, request)
        if request.WhichOneof("address_spec") == "internal_ipv4_address_spec":
            self._reserve_internal(request, address)
        else:
            self._reserve_external(request, address)
        stamp(address)
        metadata = rpc.CreateAddressMetadata(address_id=address.id)
        return self.stored(caller, "Create address", metadata, address)

    def Update(self, request: rpc.UpdateAddressRequest, caller: Caller) -> Operation:
        address = self.find(request)
        update(address, request, self.id_field)
        self.resources.claim_name(address.folder_id, address.name, address.id)
        self.resources.put(address)
        metadata = rpc.UpdateAddressMetadata(address_id=address.id)
        return self.operations.done(caller, "Update address", metadata, self._with_use(address))

    def Delete(self, request: rpc.DeleteAddressRequest, caller: Caller) -> Operation:
        address = self._with_use(self.find(request))
        if address.used:
            raise precondition(f"Address {address.id} is in use")
        if address.deletion_protection:
            raise precondition(f"Address {address.id} is protected from deletion")
        self.resources.delete(address.id)
        return self.operations.deleted(caller, "Delete address", rpc.DeleteAddressMetadata(address_id=address.id))

    def _reserve_external(self, request: rpc.CreateAddressRequest, address: Address) -> None:
        check_quota(self.store, Addresses.count_quota)
        spec = request.external_ipv4_address_spec
        if spec.zone_id:
            check_zone(spec.zone_id)
        address.external_ipv4_address.address = str(self._ipam.public(spec.address))
        address.external_ipv4_address.zone_id = spec.zone_id

    def _reserve_internal(self, request: rpc.CreateAddressRequest, address: Address) -> None:
        spec = request.internal_ipv4_address_spec
        subnet = require(self.store, Subnet, spec.subnet_id)
        address.type = Address.INTERNAL
        address.internal_ipv4_address.subnet_id = subnet.id
        address.internal_ipv4_address.address = str(self._ipam.internal(subnet, spec.address))

    def _with_use(self, address: Address) -> Address:
        """Set `used`, which is not stored: it follows from what uses the address."""
        address.used = self._ipam.is_used(address)
        return address


def _matches(request: rpc.GetAddressByValueRequest, address: Address) -> bool:
    """Return whether the request means this address; an internal one is named with its subnet."""
    if request.WhichOneof("address") != address.WhichOneof("address"):
        return False
    internal, external = address.internal_ipv4_address, address.external_ipv4_address
    if request.WhichOneof("address") == "internal_ipv4_address":
        return (request.internal_ipv4_address, request.subnet_id) == (internal.address, internal.subnet_id)
    return request.external_ipv4_address == external.address


SERVICES = (
    Service(
        rpc,
        "vpc",
        lambda context: AddressService(
            Addresses(context.store), context.operations, Ipam(context.store, context.number)
        ),
        Addresses,
    ),
)
