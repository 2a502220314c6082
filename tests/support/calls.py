"""What tests of the API share: accounts with roles, and how a call ended."""

from __future__ import annotations

from collections.abc import Callable

import grpc
from yandex.cloud.access.access_pb2 import (
    AccessBinding,
    AccessBindingAction,
    AccessBindingDelta,
    Subject,
    UpdateAccessBindingsRequest,
)
from yandex.cloud.iam.v1.service_account_service_pb2 import CreateServiceAccountMetadata, CreateServiceAccountRequest
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from tests.support.simulated import RunningCloud


def binding(role: str, account_id: str) -> AccessBinding:
    return AccessBinding(role_id=role, subject=Subject(id=account_id, type="serviceAccount"))


def account(cloud: RunningCloud, name: str = "machine") -> tuple[str, str]:
    """A new service account: its id and a token of it, as the metadata service would give one."""
    request = CreateServiceAccountRequest(folder_id=cloud.endpoint.folder_id, name=name)
    operation = ServiceAccountServiceStub(cloud.channel()).Create(request)
    account_id = CreateServiceAccountMetadata.FromString(operation.metadata.value).service_account_id
    return account_id, cloud.cloud.api._tokens.issue(account_id).text


def grant(cloud: RunningCloud, role: str, account_id: str) -> Operation:
    """Adds a role on the folder."""
    return _change(cloud, AccessBindingAction.ADD, role, account_id)


def revoke(cloud: RunningCloud, role: str, account_id: str) -> Operation:
    """Takes a role on the folder away."""
    return _change(cloud, AccessBindingAction.REMOVE, role, account_id)


def _change(cloud: RunningCloud, action: AccessBindingAction.ValueType, role: str, account_id: str) -> Operation:
    delta = AccessBindingDelta(action=action, access_binding=binding(role, account_id))
    request = UpdateAccessBindingsRequest(resource_id=cloud.endpoint.folder_id, access_binding_deltas=[delta])
    return FolderServiceStub(cloud.channel()).UpdateAccessBindings(request)


def code_of(call: Callable[..., object], *args: object, **kwargs: object) -> grpc.StatusCode:
    """How a call ended."""
    try:
        call(*args, **kwargs)
    except grpc.RpcError as refused:
        code: grpc.StatusCode = refused.code()
        return code
    return grpc.StatusCode.OK
