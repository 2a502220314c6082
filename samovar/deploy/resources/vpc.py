"""What groups stand on: addresses, networks and subnets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import address_service_pb2 as addresses
from yandex.cloud.vpc.v1 import network_service_pb2 as networks
from yandex.cloud.vpc.v1 import subnet_service_pb2 as subnets
from yandex.cloud.vpc.v1.address_pb2 import Address as AddressMessage
from yandex.cloud.vpc.v1.address_service_pb2_grpc import AddressServiceStub
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet as SubnetMessage
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.cloud.session import Session
from samovar.deploy.foundation_specs import Address, InternalAddress, Network, Subnet
from samovar.deploy.resources.handler import Begun, Fixed, Names, Work, begun
from samovar.deploy.specs import Existing, Kind, Protectable, Ref, Resource


class Addresses(Fixed):
    """Reserved public addresses."""

    def list(self, session: Session) -> list[Any]:
        return [found for found in _addresses(session) if found.HasField("external_ipv4_address")]

    def aliases(self, message: AddressMessage) -> Mapping[str, str]:
        return {message.external_ipv4_address.address: message.name}

    def read(self, message: AddressMessage, _: Names) -> Address:
        zone = message.external_ipv4_address.zone_id
        return Address(zone=zone, deletion_protection=message.deletion_protection)

    def create(self, work: Work, resource: Resource) -> Begun:
        spec = cast("Address", resource.spec)
        request = addresses.CreateAddressRequest(
            folder_id=work.session.folder_id,
            name=resource.name,
            labels=work.labels(resource),
            deletion_protection=spec.deletion_protection,
            external_ipv4_address_spec=addresses.ExternalIpv4AddressSpec(zone_id=spec.zone),
        )
        operation = work.session.client(AddressServiceStub).Create(request)
        return begun(operation, addresses.CreateAddressMetadata(), lambda made: made.address_id)

    def update(self, work: Work, existing: Existing, wanted: Resource, _: tuple[str, ...]) -> Begun:
        return _protect(work, existing, wanted)

    def delete(self, session: Session, existing: Existing) -> Operation:
        return session.client(AddressServiceStub).Delete(addresses.DeleteAddressRequest(address_id=existing.id))


class InternalAddresses(Fixed):
    """Reserved addresses of a subnet."""

    def list(self, session: Session) -> list[Any]:
        return [found for found in _addresses(session) if found.HasField("internal_ipv4_address")]

    def aliases(self, message: AddressMessage) -> Mapping[str, str]:
        return {message.internal_ipv4_address.address: message.name}

    def read(self, message: AddressMessage, names: Names) -> InternalAddress:
        subnet = names.of(message.internal_ipv4_address.subnet_id)
        return InternalAddress(subnet=subnet, deletion_protection=message.deletion_protection)

    def create(self, work: Work, resource: Resource) -> Begun:
        spec = cast("InternalAddress", resource.spec)
        request = addresses.CreateAddressRequest(
            folder_id=work.session.folder_id,
            name=resource.name,
            labels=work.labels(resource),
            deletion_protection=spec.deletion_protection,
            internal_ipv4_address_spec=addresses.InternalIpv4AddressSpec(subnet_id=work.id(Kind.SUBNET, spec.subnet)),
        )
        operation = work.session.client(AddressServiceStub).Create(request)
        return begun(operation, addresses.CreateAddressMetadata(), lambda made: made.address_id)

    def update(self, work: Work, existing: Existing, wanted: Resource, _: tuple[str, ...]) -> Begun:
        return _protect(work, existing, wanted)

    def delete(self, session: Session, existing: Existing) -> Operation:
        return session.client(AddressServiceStub).Delete(addresses.DeleteAddressRequest(address_id=existing.id))


def address_of(work: Work, ref: Ref) -> str:
    """The address that was reserved."""
    request = addresses.GetAddressRequest(address_id=work.ids[ref])
    found = work.session.client(AddressServiceStub).Get(request)
    return found.external_ipv4_address.address or found.internal_ipv4_address.address


def _protect(work: Work, existing: Existing, wanted: Resource) -> Begun:
    """Of an address nothing but its protection from deletion ever changes."""
    request = addresses.UpdateAddressRequest(
        address_id=existing.id,
        update_mask=FieldMask(paths=["deletion_protection"]),
        deletion_protection=cast("Protectable", wanted.spec).deletion_protection,
    )
    return Begun(existing.id, work.session.client(AddressServiceStub).Update(request))


def _addresses(session: Session) -> Any:
    request = addresses.ListAddressesRequest(folder_id=session.folder_id)
    return session.list(session.client(AddressServiceStub).List, request, "addresses")


class Networks(Fixed):
    """VPC networks."""

    def list(self, session: Session) -> list[Any]:
        request = networks.ListNetworksRequest(folder_id=session.folder_id)
        return session.list(session.client(NetworkServiceStub).List, request, "networks")

    def read(self, _: Any, __: Names) -> Network:
        return Network()

    def create(self, work: Work, resource: Resource) -> Begun:
        request = networks.CreateNetworkRequest(
            folder_id=work.session.folder_id, name=resource.name, labels=work.labels(resource)
        )
        operation = work.session.client(NetworkServiceStub).Create(request)
        return begun(operation, networks.CreateNetworkMetadata(), lambda made: made.network_id)

    def delete(self, session: Session, existing: Existing) -> Operation:
        return session.client(NetworkServiceStub).Delete(networks.DeleteNetworkRequest(network_id=existing.id))


class Subnets(Fixed):
    """Subnets, one or two a zone."""

    def list(self, session: Session) -> list[Any]:
        request = subnets.ListSubnetsRequest(folder_id=session.folder_id)
        return session.list(session.client(SubnetServiceStub).List, request, "subnets")

    def read(self, message: SubnetMessage, names: Names) -> Subnet:
        cidr = ", ".join(message.v4_cidr_blocks)
        return Subnet(
            network=names.of(message.network_id),
            zone=message.zone_id,
            cidr=cidr,
            route_table=names.of(message.route_table_id),
        )

    def create(self, work: Work, resource: Resource) -> Begun:
        spec = cast("Subnet", resource.spec)
        request = subnets.CreateSubnetRequest(
            folder_id=work.session.folder_id,
            name=resource.name,
            labels=work.labels(resource),
            network_id=work.id(Kind.NETWORK, spec.network),
            zone_id=spec.zone,
            v4_cidr_blocks=[spec.cidr],
            route_table_id=_route_table(work, spec),
        )
        operation = work.session.client(SubnetServiceStub).Create(request)
        return begun(operation, subnets.CreateSubnetMetadata(), lambda made: made.subnet_id)

    def update(self, work: Work, existing: Existing, wanted: Resource, _: tuple[str, ...]) -> Begun:
        request = subnets.UpdateSubnetRequest(
            subnet_id=existing.id,
            update_mask=FieldMask(paths=["route_table_id"]),
            route_table_id=_route_table(work, cast("Subnet", wanted.spec)),
        )
        return Begun(existing.id, work.session.client(SubnetServiceStub).Update(request))

    def delete(self, session: Session, existing: Existing) -> Operation:
        return session.client(SubnetServiceStub).Delete(subnets.DeleteSubnetRequest(subnet_id=existing.id))


def _route_table(work: Work, spec: Subnet) -> str:
    return work.id(Kind.ROUTE_TABLE, spec.route_table) if spec.route_table else ""
