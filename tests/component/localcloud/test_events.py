"""The calls of the API, as `cloud events` shows them: those of the record, and each as it comes."""

from __future__ import annotations

import gc
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import pytest
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest, ListNetworksRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from samovar.cloud.local_admin import Host
from samovar.cloud.local_rest import Rest
from samovar.core.errors import CloudError
from samovar.localcloud.api.audit_log import Event
from tests.support.simulated import Rest as RestClient
from tests.support.simulated import RunningCloud

TIMEOUT = 20.0
ENOUGH = 10.0


def host(cloud: RunningCloud, token: str = "") -> Host:
    return Host(Rest(cloud.endpoint.rest, ca=Path(cloud.endpoint.ca), token=token or cloud.endpoint.token))


@pytest.fixture
def followed(cloud: RunningCloud) -> Iterator[Queue[Any]]:
    """Return what a follower gets, up to None at the end of the stream."""
    queue: Queue[Any] = Queue()

    def follow() -> None:
        for event in host(cloud).events(last=10, follow=True):
            queue.put(event)
        queue.put(None)

    create(cloud, "before")
    thread = threading.Thread(target=follow)
    thread.start()
    yield queue
    cloud.call_soon(cloud.cloud.audit_log.end_following)
    thread.join(TIMEOUT)
    assert not thread.is_alive()


def create(cloud: RunningCloud, name: str, *metadata: tuple[str, str]) -> grpc.Call:
    """Make a network, and return the call."""
    request = CreateNetworkRequest(folder_id=cloud.endpoint.folder_id, name=name)
    _, call = NetworkServiceStub(cloud.channel()).Create.with_call(request, metadata=metadata)
    return call


def test_a_follower_gets_the_record_and_then_each_call_as_it_comes(cloud: RunningCloud, followed: Queue[Any]) -> None:
    assert followed.get(timeout=TIMEOUT)["method"] == "yandex.cloud.vpc.v1.NetworkService.Create"
    sent = create(cloud, "after", ("x-client-request-id", "mine"))
    event = followed.get(timeout=TIMEOUT)
    assert (event["code"], event["subject"], event["client_request_id"]) == ("OK", "operator", "mine")
    assert dict(sent.initial_metadata())["x-request-id"] == event["request_id"]
    NetworkServiceStub(cloud.channel()).List(ListNetworksRequest(folder_id=cloud.endpoint.folder_id))
    assert followed.get(timeout=TIMEOUT)["method"].endswith("NetworkService.List")


def test_a_refused_call_has_its_id_in_the_error_and_in_the_event(cloud: RunningCloud, followed: Queue[Any]) -> None:
    followed.get(timeout=TIMEOUT)
    request = CreateNetworkRequest(folder_id=cloud.endpoint.folder_id, name="before")
    call = NetworkServiceStub(cloud.channel()).Create.future(request)
    assert call.code() is grpc.StatusCode.ALREADY_EXISTS
    event = followed.get(timeout=TIMEOUT)
    assert event["code"] == "ALREADY_EXISTS"
    assert event["message"] == "Network with name before already exists"
    assert dict(call.initial_metadata())["x-request-id"] == event["request_id"]


def test_the_rest_form_answers_with_the_id_too(cloud: RunningCloud, followed: Queue[Any]) -> None:
    followed.get(timeout=TIMEOUT)
    client = RestClient(cloud)
    status, _ = client.call("GET", "/vpc/v1/networks/none")
    event = followed.get(timeout=TIMEOUT)
    assert (status, event["code"]) == (404, "NOT_FOUND")
    assert client.answered["x-request-id"] == event["request_id"]


def test_the_last_events_of_the_record_are_shown_without_following(cloud: RunningCloud) -> None:
    for number in range(5):
        create(cloud, f"net-{number}")
    shown = list(host(cloud).events(last=3, follow=False))
    recorded = [json.loads(line) for line in cloud.home.calls.read_text().splitlines()]
    assert shown == recorded[-3:]


def test_a_follower_ends_with_the_daemon(cloud: RunningCloud, followed: Queue[Any]) -> None:
    followed.get(timeout=TIMEOUT)
    cloud.call_soon(cloud.cloud.audit_log.end_following)
    assert followed.get(timeout=TIMEOUT) is None


def test_a_follower_that_reads_nothing_keeps_no_daemon_from_its_end(tmp_path: Path) -> None:
    event = Event(time=1.0, method="NetworkService.Get", subject="operator", code="OK", message="x" * 10_000)
    with ExitStack() as followers:
        with RunningCloud(tmp_path / "home").serving() as cloud:
            followers.enter_context(follower(cloud))
            for _ in range(2000):
                cloud.call_soon(partial(cloud.cloud.audit_log.note, event))
            time.sleep(1)  # what the sockets take is sent by then
            began = time.monotonic()
            cloud.call_soon(cloud.cloud.audit_log.end_following)
        assert time.monotonic() - began < ENOUGH
    gc.collect()  # what was left open is reported now, as an error of this test


@contextmanager
def follower(cloud: RunningCloud) -> Iterator[None]:
    """Ask for the events, and read none."""
    address, _, port = cloud.endpoint.rest.partition(":")
    context = ssl.create_default_context(cafile=cloud.endpoint.ca)
    request = f"GET /localcloud/events?follow=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {cloud.endpoint.token}"
    with (
        socket.create_connection((address, int(port))) as plain,
        context.wrap_socket(plain, server_hostname=address) as tls,
    ):
        tls.sendall(f"{request}\r\n\r\n".encode())
        time.sleep(0.5)
        yield


def test_events_are_for_the_operator_alone(cloud: RunningCloud) -> None:
    with pytest.raises(CloudError, match="401"):
        list(host(cloud, "t1.stranger.token").events(last=1, follow=False))
