"""Calls that tests of the API share: accounts with roles, a network with a subnet, and how a call ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import jwt
from yandex.cloud.access.access_pb2 import (
    AccessBinding,
    AccessBindingAction,
    AccessBindingDelta,
    Subject,
    UpdateAccessBindingsRequest,
)
from yandex.cloud.iam.v1.iam_token_service_pb2 import CreateIamTokenRequest
from yandex.cloud.iam.v1.iam_token_service_pb2_grpc import IamTokenServiceStub
from yandex.cloud.iam.v1.key_service_pb2 import CreateKeyRequest
from yandex.cloud.iam.v1.key_service_pb2_grpc import KeyServiceStub
from yandex.cloud.iam.v1.service_account_service_pb2 import CreateServiceAccountMetadata, CreateServiceAccountRequest
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkMetadata, CreateNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetMetadata, CreateSubnetRequest
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from tests.support.simulated import RunningCloud


@dataclass(frozen=True)
class SubnetOfNetwork:
    """A network and its one subnet."""

    network_id: str
    subnet_id: str


def create_subnet(cloud: RunningCloud) -> SubnetOfNetwork:
    """Create a network with a subnet in the first zone."""
    folder_id, channel = cloud.endpoint.folder_id, cloud.channel()
    operation = NetworkServiceStub(channel).Create(CreateNetworkRequest(folder_id=folder_id))
    network_id = CreateNetworkMetadata.FromString(operation.metadata.value).network_id
    request = CreateSubnetRequest(
        folder_id=folder_id, network_id=network_id, zone_id="ru-central1-a", v4_cidr_blocks=["10.1.0.0/24"]
    )
    operation = SubnetServiceStub(channel).Create(request)
    return SubnetOfNetwork(network_id, CreateSubnetMetadata.FromString(operation.metadata.value).subnet_id)


def binding(role: str, account_id: str) -> AccessBinding:
    return AccessBinding(role_id=role, subject=Subject(id=account_id, type="serviceAccount"))


def account(cloud: RunningCloud, name: str = "machine") -> tuple[str, str]:
    """Return a new service account: its id and a token of it, as the metadata service would give one."""
    request = CreateServiceAccountRequest(folder_id=cloud.endpoint.folder_id, name=name)
    operation = ServiceAccountServiceStub(cloud.channel()).Create(request)
    account_id = CreateServiceAccountMetadata.FromString(operation.metadata.value).service_account_id
    return account_id, cloud.cloud.api._tokens.issue(account_id).text


def grant(cloud: RunningCloud, role: str, account_id: str) -> Operation:
    """Add a role on the folder."""
    return _change(cloud, AccessBindingAction.ADD, role, account_id)


def revoke(cloud: RunningCloud, role: str, account_id: str) -> Operation:
    """Take a role on the folder away."""
    return _change(cloud, AccessBindingAction.REMOVE, role, account_id)


def _change(cloud: RunningCloud, action: AccessBindingAction.ValueType, role: str, account_id: str) -> Operation:
    delta = AccessBindingDelta(action=action, access_binding=binding(role, account_id))
    request = UpdateAccessBindingsRequest(resource_id=cloud.endpoint.folder_id, access_binding_deltas=[delta])
    return FolderServiceStub(cloud.channel()).UpdateAccessBindings(request)


def code_of(call: Callable[..., object], *args: object, **kwargs: object) -> grpc.StatusCode:
    """Return the status with which a call ended."""
    try:
        call(*args, **kwargs)
    except grpc.RpcError as refused:
        code: grpc.StatusCode = refused.code()
        return code
    return grpc.StatusCode.OK


def new_key(cloud: RunningCloud, account_id: str) -> dict[str, str]:
    """Return an authorized key of an account, as clients keep it."""
    created = KeyServiceStub(cloud.channel()).Create(CreateKeyRequest(service_account_id=account_id))
    return {"id": created.key.id, "service_account_id": account_id, "private_key": created.private_key}


def signed_jwt(key: Mapping[str, str], **claims: Any) -> str:
    """Return the JWT that a key's holder sends for a token; a claim that is None is left out."""
    now = int(time.time())
    account = {"iss": key["service_account_id"], "aud": "https://iam.api.cloud.yandex.net/iam/v1/tokens"}
    all_claims = {**account, "iat": now, "exp": now + 3600, **claims}
    chosen = {name: value for name, value in all_claims.items() if value is not None}
    return jwt.encode(chosen, key["private_key"], algorithm="PS256", headers={"kid": key["id"]})


def token_of(cloud: RunningCloud, key: Mapping[str, str]) -> str:
    """Return the token that a key is exchanged for."""
    request = CreateIamTokenRequest(jwt=signed_jwt(key))
    return IamTokenServiceStub(cloud.channel("")).Create(request).iam_token
