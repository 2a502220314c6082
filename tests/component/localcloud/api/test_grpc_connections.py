"""The gRPC form has so many connections in total, whoever holds them, and serves those that it has."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from yandex.cloud.endpoint.api_endpoint_service_pb2 import ListApiEndpointsRequest
from yandex.cloud.endpoint.api_endpoint_service_pb2_grpc import ApiEndpointServiceStub

from samovar.localcloud.sockets import connections
from tests.support.simulated import RunningCloud
from tests.support.wait import wait_until

TOTAL = 4
TIMEOUT = 60.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""What a client of HTTP/2 begins with: the preface, and settings without any."""


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningCloud]:
    """One whose services have few connections each."""
    monkeypatch.setattr(connections, "share", lambda: TOTAL)
    with RunningCloud(tmp_path / "home").serving() as running:
        yield running


def opened(cloud: RunningCloud) -> ssl.SSLSocket | None:
    """A connection that is served; None where the server closes it."""
    tls = ssl.create_default_context(cafile=cloud.endpoint.ca)
    tls.set_alpn_protocols(["h2"])
    host, _, port = cloud.endpoint.grpc.partition(":")
    raw = socket.create_connection((host, int(port)), timeout=TIMEOUT)
    try:
        connection = tls.wrap_socket(raw, server_hostname=host)
        connection.sendall(PREFACE)
        if connection.recv(1):
            return connection
    except (ConnectionError, ssl.SSLError):
        pass
    raw.close()
    return None


def test_one_above_the_total_is_refused_until_another_ends(cloud: RunningCloud) -> None:
    with cloud.channel() as channel, ExitStack() as held:
        endpoints = ApiEndpointServiceStub(channel)
        assert endpoints.List(ListApiEndpointsRequest()).endpoints
        others = [opened(cloud) for _ in range(TOTAL - 1)]
        for other in others:
            assert other
            held.enter_context(other)
        assert opened(cloud) is None
        assert endpoints.List(ListApiEndpointsRequest()).endpoints, "who has a connection is served"
        assert others[0]
        others[0].close()
        held.enter_context(wait_until("a place that is free again", lambda: opened(cloud), timeout=TIMEOUT))
