"""Bindings of roles work the same on every resource that has them, and permit what their roles permit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from yandex.cloud.access.access_pb2 import (
    AccessBindingAction,
    AccessBindingDelta,
    AccessBindingsOperationResult,
    ListAccessBindingsRequest,
    SetAccessBindingsRequest,
    UpdateAccessBindingsRequest,
)
from yandex.cloud.api import operation_pb2
from yandex.cloud.iam.v1.service_account_service_pb2 import DeleteServiceAccountRequest
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.operation.operation_service_pb2 import GetOperationRequest
from yandex.cloud.operation.operation_service_pb2_grpc import OperationServiceStub
from yandex.cloud.resourcemanager.v1.cloud_service_pb2_grpc import CloudServiceStub
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest, ListNetworksRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from tests.support.calls import account, binding, code_of, grant
from tests.support.simulated import RunningCloud


def test_bindings_are_added_listed_replaced_and_removed(cloud: RunningCloud) -> None:
    account_id, _ = account(cloud)
    targets: list[tuple[Any, str]] = [
        (FolderServiceStub(cloud.channel()), cloud.endpoint.folder_id),
        (CloudServiceStub(cloud.channel()), cloud.endpoint.cloud_id),
        (ServiceAccountServiceStub(cloud.channel()), account_id),
    ]
    for stub, resource_id in targets:
        expected = [binding("viewer", "a"), binding("editor", "b")]
        stub.SetAccessBindings(SetAccessBindingsRequest(resource_id=resource_id, access_bindings=expected))
        deltas = [
            AccessBindingDelta(action=AccessBindingAction.ADD, access_binding=binding("editor", "b")),
            AccessBindingDelta(action=AccessBindingAction.ADD, access_binding=binding("admin", "c")),
            AccessBindingDelta(action=AccessBindingAction.REMOVE, access_binding=expected[0]),
        ]
        request = UpdateAccessBindingsRequest(resource_id=resource_id, access_binding_deltas=deltas)
        operation = stub.UpdateAccessBindings(request)
        result = AccessBindingsOperationResult.FromString(operation.response.value)
        assert len(result.effective_deltas) == 2
        listed = stub.ListAccessBindings(ListAccessBindingsRequest(resource_id=resource_id)).access_bindings
        assert [(bound.role_id, bound.subject.id) for bound in listed] == [("editor", "b"), ("admin", "c")]


def test_bindings_of_a_missing_resource_are_not_found(cloud: RunningCloud) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        FolderServiceStub(cloud.channel()).ListAccessBindings(ListAccessBindingsRequest(resource_id="b1gnothere"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (None, ""),
        ("lockbox.payloadViewer", ""),
        ("compute.editor", ""),
        ("vpc.viewer", "r"),
        ("viewer", "r"),
        ("vpc.editor", ""),
        ("vpc.securityGroups.admin", "r"),
        ("vpc.privateAdmin", "rw"),
        ("vpc.admin", "rw"),
        ("editor", "rw"),
        ("admin", "rw"),
    ],
)
def test_an_account_may_do_what_its_role_permits(cloud: RunningCloud, role: str | None, allowed: str) -> None:
    account_id, token = account(cloud)
    if role:
        grant(cloud, role, account_id)
    networks = NetworkServiceStub(cloud.channel(token))
    folder_id = cloud.endpoint.folder_id
    assert _allowed(networks.List, ListNetworksRequest(folder_id=folder_id)) is ("r" in allowed)
    assert _allowed(networks.Create, CreateNetworkRequest(folder_id=folder_id)) is ("w" in allowed)


def test_a_token_outlives_its_account_for_nothing(cloud: RunningCloud) -> None:
    account_id, token = account(cloud)
    grant(cloud, "editor", account_id)
    networks, request = NetworkServiceStub(cloud.channel(token)), ListNetworksRequest(folder_id="x")
    assert _allowed(networks.List, request)
    delete = DeleteServiceAccountRequest(service_account_id=account_id)
    ServiceAccountServiceStub(cloud.channel()).Delete(delete)
    assert not _allowed(networks.List, request)


def test_an_account_that_may_create_a_resource_may_get_its_operation(cloud: RunningCloud) -> None:
    account_id, token = account(cloud)
    operation = grant(cloud, "vpc.admin", account_id)
    request = GetOperationRequest(operation_id=operation.id)
    assert _allowed(OperationServiceStub(cloud.channel(token)).Get, request)
    _, stranger = account(cloud, "stranger")
    assert not _allowed(OperationServiceStub(cloud.channel(stranger)).Get, request)


def test_every_service_answers_bindings_as_the_protos_declare(cloud: RunningCloud) -> None:
    """Clients unpack an empty response where the protos declare one."""
    declared = {
        method.containing_service.full_name: method.GetOptions().Extensions[operation_pb2.operation].response
        for method in cloud.cloud.api.methods.values()
        if method.name == "SetAccessBindings"
    }
    for name, response in declared.items():
        service: Any = cloud.cloud.api._services[name]
        if hasattr(service, "SetAccessBindings"):
            assert service.answers_with_deltas is response.endswith("AccessBindingsOperationResult"), name


def _allowed(call: Callable[..., object], request: Message) -> bool:
    """Return whether a call is refused for another reason than missing rights, or not at all."""
    return code_of(call, request) is not grpc.StatusCode.PERMISSION_DENIED
