"""Reserved addresses, public ones and those of a subnet: they are there before what answers at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import address_service_pb2 as rpc
from yandex.cloud.vpc.v1.address_pb2 import Address as AddressMessage
from yandex.cloud.vpc.v1.address_service_pb2_grpc import AddressServiceStub

from samovar.cloud.labels import is_of
from samovar.cloud.session import Session
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started, started
from samovar.deploy.resources.resource import Existing, Kind, Protectable, Ref, Resource, Spec


@dataclass(frozen=True)
class Address(Protectable):
    """A public IPv4 address, reserved before anything else, so that a name can point to it for good."""

    KIND = Kind.ADDRESS
    CREATE_ONLY = frozenset({"zone"})
    IRREPLACEABLE = True
    QUOTA = "vpc.externalStaticAddresses.count"

    zone: str


@dataclass(frozen=True)
class InternalAddress(Protectable):
    """An address of the network's own, reserved before the groups, whose metadata name it."""

    KIND = Kind.INTERNAL_ADDRESS
    IMMUTABLE = frozenset({"subnet"})

    subnet: str

    def refs(self) -> Iterator[Ref]:
        yield Ref(Kind.SUBNET, self.subnet)


class AddressHandler(Handler[Address, AddressMessage]):
    """Reserves public addresses."""

    KIND = Kind.ADDRESS

    def list(self, session: Session) -> list[AddressMessage]:
        return [message for message in _addresses(session) if message.HasField("external_ipv4_address")]

    def aliases(self, message: AddressMessage) -> Mapping[str, str]:
        return {message.external_ipv4_address.address: message.name}

    def read(self, message: AddressMessage, _: IdIndex) -> Address:
        zone = message.external_ipv4_address.zone_id
        return Address(zone=zone, deletion_protection=message.deletion_protection)

    def create(self, context: Context, resource: Resource[Address]) -> Started:
        request = _create_request(context, resource, protected=resource.spec.deletion_protection)
        request.external_ipv4_address_spec.zone_id = resource.spec.zone
        return _create(context, request)

    def update(
        self, context: Context, existing: Existing[Address], desired: Resource[Address], _: tuple[str, ...]
    ) -> Started:
        return _protect(context, existing, on=desired.spec.deletion_protection)

    def delete(self, session: Session, existing: Existing[Address]) -> Operation:
        return _delete(session, existing)


class InternalAddressHandler(Handler[InternalAddress, AddressMessage]):
    """Reserves addresses of a subnet."""

    KIND = Kind.INTERNAL_ADDRESS
    NAMESPACE = Kind.ADDRESS

    def list(self, session: Session) -> list[AddressMessage]:
        return [message for message in _addresses(session) if message.HasField("internal_ipv4_address")]

    def aliases(self, message: AddressMessage) -> Mapping[str, str]:
        return {message.internal_ipv4_address.address: message.name}

    def read(self, message: AddressMessage, index: IdIndex) -> InternalAddress:
        subnet = index.name_of(message.internal_ipv4_address.subnet_id)
        return InternalAddress(subnet=subnet, deletion_protection=message.deletion_protection)

    def create(self, context: Context, resource: Resource[InternalAddress]) -> Started:
        request = _create_request(context, resource, protected=resource.spec.deletion_protection)
        request.internal_ipv4_address_spec.subnet_id = context.id(Kind.SUBNET, resource.spec.subnet)
        return _create(context, request)

    def update(
        self,
        context: Context,
        existing: Existing[InternalAddress],
        desired: Resource[InternalAddress],
        _: tuple[str, ...],
    ) -> Started:
        return _protect(context, existing, on=desired.spec.deletion_protection)

    def delete(self, session: Session, existing: Existing[InternalAddress]) -> Operation:
        return _delete(session, existing)


def reserved_address(context: Context, ref: Ref) -> str:
    """Return the address that the cloud has reserved."""
    request = rpc.GetAddressRequest(address_id=context.ids[ref])
    return _ipv4(context.session.client(AddressServiceStub).Get(request))


def reserved_addresses(session: Session, environment: str) -> dict[str, str]:
    """Return the addresses that are reserved for an environment, by their names in the cloud."""
    ours = [message for message in _addresses(session) if is_of(message.labels, environment)]
    return {each.name: _ipv4(each) for each in ours}


def _ipv4(message: AddressMessage) -> str:
    return message.external_ipv4_address.address or message.internal_ipv4_address.address


def _addresses(session: Session) -> list[AddressMessage]:
    request = rpc.ListAddressesRequest(folder_id=session.folder_id)
    return session.list(session.client(AddressServiceStub).List, request, lambda page: page.addresses)


def _create_request(context: Context, resource: Resource[Spec], *, protected: bool) -> rpc.CreateAddressRequest:
    return rpc.CreateAddressRequest(
        folder_id=context.session.folder_id,
        name=resource.name,
        labels=context.labels(resource),
        deletion_protection=protected,
    )


def _create(context: Context, request: rpc.CreateAddressRequest) -> Started:
    operation = context.session.client(AddressServiceStub).Create(request)
    return started(operation, rpc.CreateAddressMetadata(), lambda metadata: metadata.address_id)


def _protect(context: Context, existing: Existing[Spec], *, on: bool) -> Started:
    """An address changes in nothing but its protection from deletion."""
    mask = FieldMask(paths=["deletion_protection"])
    request = rpc.UpdateAddressRequest(address_id=existing.id, update_mask=mask, deletion_protection=on)
    return Started(existing.id, context.session.client(AddressServiceStub).Update(request))


def _delete(session: Session, existing: Existing[Spec]) -> Operation:
    return session.client(AddressServiceStub).Delete(rpc.DeleteAddressRequest(address_id=existing.id))
