"""A caller without a token costs the cloud little: nothing is read, recorded or logged for long."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
from structlog.testing import capture_logs
from yandex.cloud.iam.v1.iam_token_service_pb2 import CreateIamTokenRequest
from yandex.cloud.iam.v1.iam_token_service_pb2_grpc import IamTokenServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from samovar.localcloud.api.pipeline import PUBLIC_SIZE
from samovar.localcloud.api.rest_server import MAX_BODY
from tests.support.simulated import Rest, RunningCloud

NETWORKS, TOKENS = "/vpc/v1/networks", "/iam/v1/tokens"
LARGE = 16 << 20


@contextmanager
def sent(cloud: RunningCloud, head: str) -> Iterator[ssl.SSLSocket]:
    host, _, port = cloud.endpoint.rest.partition(":")
    context = ssl.create_default_context(cafile=cloud.endpoint.ca)
    with (
        socket.create_connection((host, int(port)), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        secure.sendall(head.encode("latin-1"))
        yield secure


def status(connection: ssl.SSLSocket) -> int:
    return int(connection.recv(1000).split()[1])


def head(path: str, size: int, authorization: str = "") -> str:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {size}"]
    return "\r\n".join([*lines, *([f"Authorization: {authorization}"] if authorization else []), "", ""])


@pytest.mark.parametrize("authorization", ["", "Bearer t1.a.b", "Bearer t1.\xff.\xff", "Bearer \xff"])
def test_a_body_is_not_awaited_before_its_sender_is_authenticated(cloud: RunningCloud, authorization: str) -> None:
    with capture_logs() as output, sent(cloud, head(NETWORKS, LARGE, authorization)) as connection:
        assert status(connection) == 401
    assert [line for line in output if line["log_level"] == "error"] == []


def test_requests_without_a_token_must_be_small(cloud: RunningCloud) -> None:
    with sent(cloud, head(TOKENS, LARGE)) as connection:
        connection.sendall(b"{" + b" " * PUBLIC_SIZE)
        assert status(connection) == 413
    channel = cloud.channel("")
    with pytest.raises(grpc.RpcError) as refused:
        IamTokenServiceStub(channel).Create(CreateIamTokenRequest(jwt="x" * (PUBLIC_SIZE + 1)))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_grpc_request_is_not_parsed_before_its_sender_is_authenticated(cloud: RunningCloud) -> None:
    create = cloud.channel("").unary_unary("/yandex.cloud.vpc.v1.NetworkService/Create", None, None)
    with pytest.raises(grpc.RpcError) as refused:
        create(b"\xff" * (2 << 20))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.RpcError) as refused:
        cloud.channel().unary_unary("/yandex.cloud.vpc.v1.NetworkService/Create", None, None)(b"\xff" * 100)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_authenticated_sender_is_limited_to_the_message_size_of_grpc(cloud: RunningCloud) -> None:
    assert Rest(cloud).raw("POST", NETWORKS, b"[" + b"1," * (MAX_BODY // 2 - 10) + b"1]")[0] == 400
    with sent(cloud, head(NETWORKS, LARGE, f"Bearer {cloud.endpoint.token}")) as connection:
        connection.sendall(b"{" + b" " * MAX_BODY)
        assert status(connection) == 413


def test_the_record_and_the_log_cannot_be_flushed_without_a_token(cloud: RunningCloud) -> None:
    stranger = Rest(cloud, "")
    create = NetworkServiceStub(cloud.channel("t1.a.b")).Create
    with capture_logs() as output:
        began = time.monotonic()
        for _ in range(100):
            assert stranger.call("POST", NETWORKS, {})[0] == 401
            assert stranger.call("POST", TOKENS, {"jwt": "x"})[0] != 200
            with pytest.raises(grpc.RpcError):
                create(CreateNetworkRequest())
        took = time.monotonic() - began
    assert not cloud.home.calls.exists() or cloud.home.calls.read_text() == ""
    assert len(output) <= 1 + took // 60
