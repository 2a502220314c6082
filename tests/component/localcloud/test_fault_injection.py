"""Faults on request meet real clients, end when they should, and outlive the daemon."""

from __future__ import annotations

import time
from pathlib import Path

import grpc
import pytest
from google.rpc.code_pb2 import Code
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1.network_service_pb2 import CreateNetworkRequest, ListNetworksRequest
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from samovar.cloud.local_admin import Host
from samovar.cloud.local_rest import Rest
from samovar.core.errors import CloudError, ConfigError
from samovar.localcloud.fault_injection.faults import Effect, Fault
from samovar.localcloud.home.home import Home
from samovar.localcloud.simulated.event_loop import run
from tests.support.calls import code_of
from tests.support.in_process import ZONE, in_process, service, until
from tests.support.simulated import RunningCloud
from tests.support.tool import Cli

Codes = grpc.StatusCode


@pytest.fixture
def host(cloud: RunningCloud) -> Host:
    return Host(Rest(cloud.endpoint.rest, ca=Path(cloud.endpoint.ca), token=cloud.endpoint.token))


def create(cloud: RunningCloud, name: str = "", key: str = "") -> grpc.StatusCode:
    request = CreateNetworkRequest(folder_id=cloud.endpoint.folder_id, name=name)
    metadata = (("idempotency-key", key),) if key else ()
    return code_of(NetworkServiceStub(cloud.channel()).Create, request, metadata=metadata)


def names(cloud: RunningCloud) -> list[str]:
    request = ListNetworksRequest(folder_id=cloud.endpoint.folder_id)
    return [network.name for network in NetworkServiceStub(cloud.channel()).List(request).networks]


def test_a_fault_strikes_as_often_as_asked_and_changes_nothing(cloud: RunningCloud, host: Host) -> None:
    host.add_fault(method="NetworkService/Create", code="UNAVAILABLE", times=2)
    assert [create(cloud, "net") for _ in range(2)] == [Codes.UNAVAILABLE] * 2
    assert names(cloud) == []
    assert create(cloud, "net") is Codes.OK
    assert host.faults() == ()


def test_the_struck_are_counted_and_all_can_be_cleared(cloud: RunningCloud, host: Host) -> None:
    first = host.add_fault(method="NetworkService/Create", code="RESOURCE_EXHAUSTED", times=5)
    host.add_fault(method="*/Delete", code="FAILED_PRECONDITION")
    assert create(cloud) is Codes.RESOURCE_EXHAUSTED
    assert [fault.struck for fault in host.faults()] == [1, 0]
    assert "faults on request: 2" in " ".join(host.status()["warnings"])
    assert [fault.id for fault in host.clear_faults(first.id)] == [first.id]
    assert create(cloud) is Codes.OK
    assert len(host.clear_faults()) == 1
    assert host.status()["warnings"] == []


def test_a_call_whose_answer_was_lost_gets_it_by_its_idempotency_key(cloud: RunningCloud, host: Host) -> None:
    host.add_fault(method="NetworkService/Create", code="UNAVAILABLE", effect="answer", times=1)
    assert create(cloud, "net", "once") is Codes.UNAVAILABLE
    assert names(cloud) == ["net"]
    assert create(cloud, "net", "once") is Codes.OK
    assert names(cloud) == ["net"]


def test_an_operation_fails_after_its_call_was_accepted(cloud: RunningCloud, host: Host) -> None:
    host.add_fault(method="NetworkService/Create", code="INTERNAL", effect="operation", message="no luck", times=1)
    request = CreateNetworkRequest(folder_id=cloud.endpoint.folder_id, name="net")
    operation: Operation = NetworkServiceStub(cloud.channel()).Create(request)
    assert operation.done
    assert (operation.error.code, operation.error.message) == (Code.INTERNAL, "no luck")
    assert names(cloud) == []


def test_a_request_that_is_refused_anyway_is_refused_for_that(cloud: RunningCloud, host: Host) -> None:
    host.add_fault(method="NetworkService/Create", code="INTERNAL", effect="operation")
    request = CreateNetworkRequest(folder_id=cloud.endpoint.folder_id, name="Not A Name")
    assert code_of(NetworkServiceStub(cloud.channel()).Create, request) is Codes.INVALID_ARGUMENT


def test_a_delay_holds_one_call_and_no_other(cloud: RunningCloud, host: Host) -> None:
    host.add_fault(method="NetworkService/Create", delay=1.5, times=1)
    began = time.monotonic()
    slow = NetworkServiceStub(cloud.channel()).Create.future(CreateNetworkRequest(folder_id=cloud.endpoint.folder_id))
    assert names(cloud) == []
    assert time.monotonic() - began < 1.4
    assert slow.code() is Codes.OK
    assert time.monotonic() - began >= 1.5


def test_a_misspelt_method_and_a_stranger_are_refused(cloud: RunningCloud, host: Host) -> None:
    with pytest.raises(ConfigError, match="no method is like NetworksService/Create"):
        host.add_fault(method="NetworksService/Create", code="ABORTED")
    stranger = Host(Rest(cloud.endpoint.rest, ca=Path(cloud.endpoint.ca), token="t1.stranger.token"))
    with pytest.raises(CloudError, match="401"):
        stranger.faults()
    for unknown in ("flt0", "FLT 0"):
        with pytest.raises(ConfigError, match=f"there is no fault {unknown}"):
            host.clear_faults(unknown)


def test_a_group_reports_missing_capacity_and_starts_once_there_is_some(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with in_process(Home(tmp_path / "home")) as world:
            web = await service(world, size=2)
            fault = world.cloud.faults.add(Fault("", effect=Effect.START, zone=ZONE))
            await world.cloud.cut_power(web.members()[0].instance_id)
            await until("the reason is shown", lambda: "Not enough resources" in web.members()[0].status_message)
            assert not web.is_healthy(2)
            world.cloud.faults.clear(fault.id)
            await until("healthy again", lambda: web.is_healthy(2))

    run(scenario())


def test_the_commands_add_list_and_clear(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "home", tmp_path / "envs")
    cli.run("cloud", "up", "--machines", "simulated")
    try:
        added = cli.run("cloud", "fault", "add", "--method", "*/Get", "--code", "RESOURCE_EXHAUSTED", "--share", "0.1")
        assert "*/Get: RESOURCE_EXHAUSTED for the call, a share of 0.1" in added.stderr
        cli.run("cloud", "fault", "add", "--no-capacity", "ru-central1-b")
        cli.run("cloud", "fault", "add", "--method", "NetworkService/*", "--delay", "500ms", "--times", "2")
        assert [(f["delay"], f["times"], f["zone"]) for f in cli.json("cloud", "fault", "list")] == [
            (0.0, None, ""),
            (0.0, None, "ru-central1-b"),
            (0.5, 2, ""),
        ]
        assert "give either" in cli.run("cloud", "fault", "add", check=False).stderr
        assert "3" in cli.run("cloud", "status").stdout
        assert cli.run("cloud", "fault", "clear").stderr.count("ended") == 3
        assert cli.json("cloud", "fault", "list") == []
    finally:
        cli.run("cloud", "down", check=False)
