"""yandex.cloud.vpc: addresses, reserved apart from what uses them."""

from __future__ import annotations

from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import address_service_pb2 as rpc
from yandex.cloud.vpc.v1.address_pb2 import Address
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.quota_manager.model import check_quota
from samovar.localcloud.resources.model import ResourceService, fill, page, stamp, update
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.addresses.model import Addressing


class AddressService(ResourceService[Address]):
    """A reserved address outlives what uses it."""

    kind, noun, id_field = Address, "Address", "address_id"

    def __init__(self, store: Store, operations: Operations, addressing: Addressing) -> None:
        super().__init__(store, operations)
        self._addressing = addressing

    def Get(self, request: rpc.GetAddressRequest, _: Caller) -> Address:
        return self._seen(self.find(request))

    def List(self, request: rpc.ListAddressesRequest, _: Caller) -> rpc.ListAddressesResponse:
        found = [self._seen(address) for address in self.store.all(Address, scope=request.folder_id)]
        return page(request, rpc.ListAddressesResponse(), "addresses", found)

    def GetByValue(self, request: rpc.GetAddressByValueRequest, _: Caller) -> Address:
        for address in self.store.all(Address):
            if _is_meant(request, address):
                return self._seen(address)
        raise not_found("Address", request.external_ipv4_address or request.internal_ipv4_address)

    def ListBySubnet(self, request: rpc.ListAddressesBySubnetRequest, _: Caller) -> rpc.ListAddressesBySubnetResponse:
        found = [
            self._seen(address)
            for address in self.store.all(Address)
            if address.internal_ipv4_address.subnet_id == request.subnet_id
        ]
        return page(request, rpc.ListAddressesBySubnetResponse(), "addresses", found)

    def Create(self, request: rpc.CreateAddressRequest, caller: Caller) -> Operation:
        self.claim_name(request.folder_id, request.name)
        address = Address(id=new_id("address"), reserved=True, type=Address.EXTERNAL, ip_version=Address.IPV4)
        fill(address, request)
        if request.WhichOneof("address_spec") == "internal_ipv4_address_spec":
            self._reserve_internal(request, address)
        else:
            check_quota(self.store, Address)
            spec = request.external_ipv4_address_spec
            chosen = self._addressing.public(spec.address)
            address.external_ipv4_address.address = str(chosen)
            address.external_ipv4_address.zone_id = spec.zone_id
        stamp(address)
        self.store.put(address)
        metadata = rpc.CreateAddressMetadata(address_id=address.id)
        return self.operations.done(caller, "Create address", metadata, address)

    def Update(self, request: rpc.UpdateAddressRequest, caller: Caller) -> Operation:
        address = self.find(request)
        update(address, request, self.id_field)
        self.claim_name(address.folder_id, address.name, address.id)
        self.store.put(address)
        metadata = rpc.UpdateAddressMetadata(address_id=address.id)
        return self.operations.done(caller, "Update address", metadata, self._seen(address))

    def Delete(self, request: rpc.DeleteAddressRequest, caller: Caller) -> Operation:
        address = self._seen(self.find(request))
        if address.used:
            raise precondition(f"Address {address.id} is in use")
        if address.deletion_protection:
            raise precondition(f"Address {address.id} is protected from deletion")
        self.store.delete(Address, address.id)
        return self.operations.gone(caller, "Delete address", rpc.DeleteAddressMetadata(address_id=address.id))

    def ListOperations(self, request: rpc.ListAddressOperationsRequest, _: Caller) -> rpc.ListAddressOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, rpc.ListAddressOperationsResponse(), "operations", found)

    def _reserve_internal(self, request: rpc.CreateAddressRequest, address: Address) -> None:
        spec = request.internal_ipv4_address_spec
        subnet = self.store.get(Subnet, spec.subnet_id)
        if subnet is None:
            raise not_found("Subnet", spec.subnet_id)
        address.type = Address.INTERNAL
        address.internal_ipv4_address.subnet_id = subnet.id
        address.internal_ipv4_address.address = str(self._addressing.internal(subnet, spec.address))

    def _seen(self, address: Address) -> Address:
        """`used` is not stored: it follows from what uses the address."""
        address.used = self._addressing.is_used(address)
        return address


def _is_meant(request: rpc.GetAddressByValueRequest, address: Address) -> bool:
    """Of internal addresses the subnet says which is meant."""
    if request.WhichOneof("address") != address.WhichOneof("address"):
        return False
    internal, external = address.internal_ipv4_address, address.external_ipv4_address
    if request.WhichOneof("address") == "internal_ipv4_address":
        return (request.internal_ipv4_address, request.subnet_id) == (internal.address, internal.subnet_id)
    return request.external_ipv4_address == external.address
