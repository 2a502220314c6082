"""Checks what an environment names by id: a network, subnets, secrets. These exist already, and are never changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import grpc
from yandex.cloud.lockbox.v1.secret_pb2 import Secret
from yandex.cloud.lockbox.v1.secret_service_pb2 import GetSecretRequest
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
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


def use_images_folder(session: Session, environment: Environment) -> None:
    """Tell the session where the environment's images are."""
    session.images_folder_id = environment.images_folder_id or session.folder_id


def used_refs(environment: Environment) -> tuple[Ref, ...]:
    """Return what the environment's file names by id; the id stands for the name."""
    networks = [environment.network.id] if environment.network.id else []
    by_kind = {
        Kind.NETWORK: networks,
        Kind.SUBNET: environment.subnets.values(),
        Kind.SECRET: environment.existing_secrets.values(),
    }
    return tuple(dict.fromkeys(Ref(kind, each) for kind, ids in by_kind.items() for each in ids))


def existing_ranges(session: Session, environment: Environment) -> tuple[str, ...]:
    """Return the ranges of the subnets that exist already; asks nothing where the file names nothing by id.

    Raises ConfigError with the line of an id that is not there, or that is of another zone or network.
    """
    if environment.network.id:
        _check_network(session, environment, environment.network.id)
    subnets = run_concurrently(*(partial(_subnet, session, environment, zone) for zone in environment.subnets))
    return tuple(sorted(cidr for subnet in subnets for cidr in subnet.v4_cidr_blocks))


def check_existing_secrets(session: Session, environment: Environment) -> None:
    """Raise ConfigError with the line of a secret that is not there, or that has no value: machines would wait."""
    run_concurrently(*(partial(_check_secret, session, environment, name) for name in environment.existing_secrets))


def _check_secret(session: Session, environment: Environment, name: str) -> None:
    secret_id = environment.existing_secrets[name]
    client, request = session.client(SecretServiceStub), GetSecretRequest(secret_id=secret_id)
    remedy = "correct the id, or let the account have the role lockbox.admin in the folder of the secret"
    secret = _read(lambda: client.Get(request), environment, ("secrets", name), f"secret {secret_id}", remedy)
    if secret.status != Secret.ACTIVE or not secret.HasField("current_version"):
        state = Secret.Status.Name(secret.status) if secret.status != Secret.ACTIVE else "without a value"
        place = environment.place("secrets", name)
        raise ConfigError(f"{place}: secret {secret_id} ({secret.name}) is {state}", remedy="give it a value")


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


NETWORK_REMEDY = "correct the id, or let the account have the role vpc.user in the folder of the network"


def _read(
    get: Callable[[], T], environment: Environment, key: tuple[str, ...], what: str, remedy: str = NETWORK_REMEDY
) -> T:
    """Return the answer of a Get. Raises ConfigError for what is not there, or may not be read."""
    try:
        return get()
    except CallFailed as error:
        if error.status not in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED}:
            raise
        raise ConfigError(
            f"{environment.place(*key)}: {what} is not there, or may not be read: {error.details}",
            remedy=remedy,
        ) from error
