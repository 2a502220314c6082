"""The network and the subnets that an environment names by id: they exist already, and are never changed or deleted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import grpc
from yandex.cloud.vpc.v1.network_service_pb2 import GetNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet
from yandex.cloud.vpc.v1.subnet_service_pb2 import GetSubnetRequest
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.cloud.errors import CallFailed
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.core.errors import ConfigError
from samovar.deploy.resources.resource import Kind, Ref
from samovar.project.environment import Environment

T = TypeVar("T")


def used_refs(environment: Environment) -> tuple[Ref, ...]:
    """Return what the environment's file names by id; the id stands for the name."""
    networks = [environment.network.id] if environment.network.id else []
    subnets = (Ref(Kind.SUBNET, each) for each in environment.subnets.values())
    return (*(Ref(Kind.NETWORK, each) for each in networks), *subnets)


def existing_ranges(session: Session, environment: Environment) -> tuple[str, ...]:
    """Return the ranges of the subnets that exist already; asks nothing where the file names nothing by id.

    Raises ConfigError with the line of an id that is not there, or that is of another zone or network.
    """
    if environment.network.id:
        _check_network(session, environment, environment.network.id)
    subnets = run_concurrently(*(partial(_subnet, session, environment, zone) for zone in environment.subnets))
    return tuple(sorted(cidr for subnet in subnets for cidr in subnet.v4_cidr_blocks))


def _check_network(session: Session, environment: Environment, network_id: str) -> None:
    client, request = session.client(NetworkServiceStub), GetNetworkRequest(network_id=network_id)
    _read(lambda: client.Get(request), environment, ("network", "id"), f"network {network_id}")


def _subnet(session: Session, environment: Environment, zone: str) -> Subnet:
    subnet_id = environment.subnets[zone]
    client, request = session.client(SubnetServiceStub), GetSubnetRequest(subnet_id=subnet_id)
    subnet = _read(lambda: client.Get(request), environment, ("subnets", zone), f"subnet {subnet_id}")
    where = f"{environment.place('subnets', zone)}: subnet {subnet_id} ({subnet.name}) is"
    if subnet.zone_id != zone:
        raise ConfigError(f"{where} in zone {subnet.zone_id}", remedy=f"name a subnet of {zone}")
    if subnet.network_id != environment.network.id:
        remedy = f"name a subnet of network {environment.network.id}, or that network"
        raise ConfigError(f"{where} of network {subnet.network_id}", remedy=remedy)
    return subnet


def _read(get: Callable[[], T], environment: Environment, key: tuple[str, ...], what: str) -> T:
    """The answer of a Get; ids of what may not be read are unknown as well."""
    try:
        return get()
    except CallFailed as error:
        if error.status not in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED}:
            raise
        raise ConfigError(
            f"{environment.place(*key)}: {what} is not there, or may not be read: {error.details}",
            remedy="correct the id, or let the account have the role vpc.user in the folder of the network",
        ) from error
