"""The API's wire: who may call, what is refused and how, and that nothing which comes in hurts it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import time
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from yandex.cloud.api import operation_pb2
from yandex.cloud.compute.v1.disk_service_pb2 import MoveDiskRequest
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.host_group_service_pb2 import ListHostGroupsRequest
from yandex.cloud.compute.v1.host_group_service_pb2_grpc import HostGroupServiceStub
from yandex.cloud.compute.v1.image_service_pb2 import GetImageLatestByFamilyRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub
from yandex.cloud.endpoint.api_endpoint_service_pb2 import ListApiEndpointsRequest
from yandex.cloud.endpoint.api_endpoint_service_pb2_grpc import ApiEndpointServiceStub
from yandex.cloud.iam.v1.iam_token_service_pb2 import CreateIamTokenRequest
from yandex.cloud.iam.v1.iam_token_service_pb2_grpc import IamTokenServiceStub
from yandex.cloud.iam.v1.key_service_pb2 import DeleteKeyRequest
from yandex.cloud.iam.v1.key_service_pb2_grpc import KeyServiceStub
from yandex.cloud.iam.v1.service_account_service_pb2 import DeleteServiceAccountRequest
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import (
    CreateNetworkMetadata,
    CreateNetworkRequest,
    DeleteNetworkRequest,
    GetNetworkRequest,
    ListNetworksRequest,
)
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2 import CreateSubnetRequest, ListSubnetsRequest
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.localcloud.api.audit_log import LIMIT, AuditLog, Event
from samovar.localcloud.api.constraints import load
from samovar.localcloud.api.pipeline import Api
from samovar.localcloud.api.tokens import OPERATOR
from tests.support.calls import account, code_of, grant, new_key, signed_jwt, token_of
from tests.support.simulated import RunningCloud

WITHOUT_CONSTRAINTS = {
    "yandex.cloud.compute.v1.AddInstanceOneToOneNatRequest",
    "yandex.cloud.compute.v1.RemoveInstanceOneToOneNatRequest",
    "yandex.cloud.compute.v1.UpdateInstanceMetadataRequest",
    "yandex.cloud.endpoint.GetApiEndpointRequest",
    "yandex.cloud.endpoint.ListApiEndpointsRequest",
    "yandex.cloud.compute.v1.CreateSnapshotScheduleRequest",
    "yandex.cloud.compute.v1.DeleteSnapshotScheduleRequest",
    "yandex.cloud.compute.v1.DisableSnapshotScheduleRequest",
    "yandex.cloud.compute.v1.EnableSnapshotScheduleRequest",
    "yandex.cloud.compute.v1.GetSnapshotScheduleRequest",
    "yandex.cloud.compute.v1.ListSnapshotScheduleDisksRequest",
    "yandex.cloud.compute.v1.ListSnapshotScheduleOperationsRequest",
    "yandex.cloud.compute.v1.ListSnapshotScheduleSnapshotsRequest",
    "yandex.cloud.compute.v1.UpdateSnapshotScheduleDisksRequest",
    "yandex.cloud.compute.v1.UpdateSnapshotScheduleRequest",
}


def _networks(cloud: RunningCloud, token: str | None = None) -> NetworkServiceStub:
    return NetworkServiceStub(cloud.channel(token))


def _create(cloud: RunningCloud, name: str = "net", **headers: str) -> str:
    request = CreateNetworkRequest(folder_id=cloud.endpoint.folder_id, name=name)
    operation = _networks(cloud).Create(request, metadata=tuple(headers.items()))
    return CreateNetworkMetadata.FromString(operation.metadata.value).network_id


def _all_of(cloud: RunningCloud) -> ListNetworksRequest:
    return ListNetworksRequest(folder_id=cloud.endpoint.folder_id)


@pytest.mark.parametrize("token", ["", "t1.local.dev", "t1..", "nonsense"])
def test_a_wrong_token_is_refused(cloud: RunningCloud, token: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        _networks(cloud, token).List(ListNetworksRequest(folder_id="x"))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_an_expired_token_is_refused(cloud: RunningCloud) -> None:
    token = cloud.cloud.api._tokens.issue(OPERATOR, lifetime=-1)
    with pytest.raises(grpc.RpcError) as refused:
        _networks(cloud, token.text).List(ListNetworksRequest(folder_id="x"))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("text", ["", "{", '{"id": "ajeforgotten", "service_account_id": "ajenobody"}'])
def test_a_damaged_file_of_the_operator_is_written_anew(tmp_path: Path, text: str) -> None:
    """The store does not record whose key or token it was."""
    with RunningCloud(tmp_path / "home").serving() as cloud:
        Path(cloud.endpoint.key_file).write_text(text)
        (cloud.home.pki / "operator-token").write_text(text)
    with RunningCloud(tmp_path / "home").serving() as cloud:
        key = json.loads(Path(cloud.endpoint.key_file).read_text())
        assert _networks(cloud, token_of(cloud, key)).List(_all_of(cloud)).networks == []


def test_discovery_needs_no_token_and_names_what_clients_ask_for(cloud: RunningCloud) -> None:
    actual = ApiEndpointServiceStub(cloud.channel("")).List(ListApiEndpointsRequest())
    addresses = {endpoint.id: endpoint.address for endpoint in actual.endpoints}
    assert {"endpoint", "iam", "compute", "vpc", "operation", "load-balancer"} <= addresses.keys()
    assert addresses["compute"] == cloud.endpoint.grpc


def test_a_keys_jwt_becomes_a_token_that_works(cloud: RunningCloud) -> None:
    key = json.loads(Path(cloud.endpoint.key_file).read_text())
    assert _networks(cloud, token_of(cloud, key)).List(_all_of(cloud)).networks == []
    signed, stub = signed_jwt(key), IamTokenServiceStub(cloud.channel(""))
    with pytest.raises(grpc.RpcError) as refused:
        stub.Create(CreateIamTokenRequest(jwt=signed[:-8] + "AAAAAAAA"))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": None},
        {"iat": None},
        {"exp": None, "iat": None},
        {"exp": 2**40},
        {"iat": 0},
        {"iat": 2**40, "exp": 2**41},
    ],
)
def test_a_jwt_must_have_its_time_of_issue_and_expire_within_an_hour(
    cloud: RunningCloud, claims: dict[str, int]
) -> None:
    key = json.loads(Path(cloud.endpoint.key_file).read_text())
    request = CreateIamTokenRequest(jwt=signed_jwt(key, **claims))
    assert code_of(IamTokenServiceStub(cloud.channel("")).Create, request) is grpc.StatusCode.UNAUTHENTICATED


def test_a_token_ends_with_its_key(cloud: RunningCloud) -> None:
    account_id, _ = account(cloud)
    grant(cloud, "viewer", account_id)
    key, other = new_key(cloud, account_id), new_key(cloud, account_id)
    networks = [_networks(cloud, token_of(cloud, each)) for each in (key, other)]
    KeyServiceStub(cloud.channel()).Delete(DeleteKeyRequest(key_id=key["id"]))
    codes = [code_of(stub.List, _all_of(cloud)) for stub in networks]
    assert codes == [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.OK]


def test_a_token_ends_with_its_account(cloud: RunningCloud) -> None:
    account_id, of_a_machine = account(cloud)
    grant(cloud, "viewer", account_id)
    networks = [_networks(cloud, each) for each in (of_a_machine, token_of(cloud, new_key(cloud, account_id)))]
    assert [code_of(stub.List, _all_of(cloud)) for stub in networks] == [grpc.StatusCode.OK] * 2
    ServiceAccountServiceStub(cloud.channel()).Delete(DeleteServiceAccountRequest(service_account_id=account_id))
    codes = [code_of(stub.List, _all_of(cloud)) for stub in networks]
    assert codes == [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED], "its key goes with it"


def test_a_broken_constraint_names_its_field(cloud: RunningCloud) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        SubnetServiceStub(cloud.channel()).Create(CreateSubnetRequest(name="_no", labels={"UPPER": "x"}))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    (packed,) = (sent.value for sent in refused.value.trailing_metadata() if sent.key == "grpc-status-details-bin")
    status = Status.FromString(packed)
    details = BadRequest()
    assert status.details[0].Unpack(details)
    fields = {violation.field for violation in details.field_violations}
    assert {"folder_id", "network_id", "zone_id", "name", "labels"} <= fields


@pytest.mark.parametrize("labels", [{f"UPPER-{number}": "X" * 60 for number in range(64)}, {"Ж" * 3000: "x"}])
def test_a_long_error_fits_into_the_headers_of_an_answer(cloud: RunningCloud, labels: dict[str, str]) -> None:
    request = CreateNetworkRequest(folder_id=cloud.endpoint.folder_id, labels=labels)
    with pytest.raises(grpc.RpcError, match="Request validation error: labels: ") as refused:
        _networks(cloud).Create(request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_service_that_is_not_served_is_unimplemented(cloud: RunningCloud) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        HostGroupServiceStub(cloud.channel()).List(ListHostGroupsRequest(folder_id="x"))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "HostGroupService/List is not served by the local cloud" in str(refused.value.details())


def test_a_method_that_a_served_service_lacks_is_unimplemented(cloud: RunningCloud) -> None:
    request = MoveDiskRequest(disk_id="x", destination_folder_id="y")
    with pytest.raises(grpc.RpcError) as refused:
        DiskServiceStub(cloud.channel()).Move(request)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_an_unknown_resource_is_not_found(cloud: RunningCloud) -> None:
    family = GetImageLatestByFamilyRequest(folder_id=cloud.endpoint.folder_id, family="none")
    for call in (
        lambda: _networks(cloud).Get(GetNetworkRequest(network_id="enpnothere")),
        lambda: ImageServiceStub(cloud.channel()).GetLatestByFamily(family),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call()
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_name_is_unique_in_its_folder(cloud: RunningCloud) -> None:
    _create(cloud, "one")
    with pytest.raises(grpc.RpcError) as refused:
        _create(cloud, "one")
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS


def test_an_idempotency_key_creates_a_resource_once(cloud: RunningCloud) -> None:
    first = _create(cloud, "", **{"idempotency-key": "k1"})
    assert _create(cloud, "", **{"idempotency-key": "k1"}) == first
    assert _create(cloud, "", **{"idempotency-key": "k2"}) != first
    with pytest.raises(grpc.RpcError) as refused:
        _create(cloud, "other", **{"idempotency-key": "k1"})
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_mutating_calls_are_recorded_with_their_key_and_outcome(cloud: RunningCloud) -> None:
    stub, request = _networks(cloud), CreateNetworkRequest(folder_id=cloud.endpoint.folder_id, name="recorded")
    stub.Create(request, metadata=(("idempotency-key", "once"),))
    with pytest.raises(grpc.RpcError):
        stub.Create(request)
    stub.List(ListNetworksRequest(folder_id=cloud.endpoint.folder_id))
    created = {"method": "yandex.cloud.vpc.v1.NetworkService.Create", "subject": OPERATOR}
    recorded = [json.loads(line) for line in cloud.home.calls.read_text().splitlines()]
    fields = ("method", "subject", "idempotency_key", "code")
    assert [{key: line[key] for key in fields} for line in recorded] == [
        {**created, "idempotency_key": "once", "code": "OK"},
        {**created, "idempotency_key": "", "code": "ALREADY_EXISTS"},
    ]
    assert recorded[1]["message"] == "Network with name recorded already exists"


def test_the_record_of_calls_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_text("x" * (LIMIT + 1))
    AuditLog(path).note(Event(0.0, "yandex.cloud.vpc.v1.NetworkService.Create", OPERATOR, "OK"))
    assert path.stat().st_size < 1000
    assert (tmp_path / "calls.jsonl.1").stat().st_size == LIMIT + 1


def test_lists_page_and_filter_by_name(cloud: RunningCloud) -> None:
    folder_id = cloud.endpoint.folder_id
    created = {_create(cloud, f"net-{number}") for number in range(5)}
    observed, token = set(), ""
    for _ in range(3):
        answer = _networks(cloud).List(ListNetworksRequest(folder_id=folder_id, page_size=2, page_token=token))
        observed |= {network.id for network in answer.networks}
        token = answer.next_page_token
    assert observed == created
    assert not token
    one = _networks(cloud).List(ListNetworksRequest(folder_id=folder_id, filter='name="net-3"')).networks
    assert [network.name for network in one] == ["net-3"]
    with pytest.raises(grpc.RpcError) as refused:
        _networks(cloud).List(ListNetworksRequest(folder_id=folder_id, filter="name CONTAINS net"))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_refused_call_leaves_nothing(cloud: RunningCloud) -> None:
    network_id = _create(cloud)
    request = CreateSubnetRequest(
        folder_id=cloud.endpoint.folder_id,
        network_id=network_id,
        zone_id="ru-central1-a",
        v4_cidr_blocks=["10.1.0.0/24"],
    )
    subnets = SubnetServiceStub(cloud.channel())
    subnets.Create(request)
    with pytest.raises(grpc.RpcError) as refused:
        subnets.Create(request)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(grpc.RpcError) as refused:
        _networks(cloud).Delete(DeleteNetworkRequest(network_id=network_id))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    actual = subnets.List(ListSubnetsRequest(folder_id=cloud.endpoint.folder_id)).subnets
    assert [subnet.network_id for subnet in actual] == [network_id]


def test_operations_have_the_types_that_the_protos_declare(cloud: RunningCloud) -> None:
    operation = _networks(cloud).Create(CreateNetworkRequest(folder_id=cloud.endpoint.folder_id))
    method = cloud.cloud.api.methods["/yandex.cloud.vpc.v1.NetworkService/Create"]
    declared = method.GetOptions().Extensions[operation_pb2.operation]
    assert operation.metadata.Is(CreateNetworkMetadata.DESCRIPTOR)
    assert operation.metadata.TypeName().endswith(declared.metadata)
    assert operation.response.TypeName().endswith(declared.response)


def test_every_served_request_has_constraints(cloud: RunningCloud) -> None:
    constrained = {name.rpartition(".")[0] for name in load().fields}
    bare = {request for request in _served_requests(cloud.cloud.api) if request not in constrained}
    assert bare == WITHOUT_CONSTRAINTS


def test_the_port_serves_after_random_bytes(cloud: RunningCloud) -> None:
    host, _, port = cloud.endpoint.grpc.partition(":")
    context = ssl.create_default_context(cafile=cloud.endpoint.ca)
    context.set_alpn_protocols(["h2"])
    for size in (1, 100, 70_000):
        with socket.create_connection((host, int(port)), timeout=5) as plain:
            plain.sendall(os.urandom(size))
        with (
            socket.create_connection((host, int(port)), timeout=5) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as tls,
            contextlib.suppress(OSError),  # it may hang up on nonsense before it has all come
        ):
            tls.sendall(os.urandom(size))
    began = time.monotonic()
    assert _create(cloud)
    assert time.monotonic() - began < 5


def _served_requests(api: Api) -> set[str]:
    return {
        method.input_type.full_name
        for method in api.methods.values()
        if hasattr(api._services[method.containing_service.full_name], method.name)
    }
