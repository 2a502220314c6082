"""The programme of `certify` on a local cloud whose machines are states."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf.message import Message
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import NetworkLoadBalancer, TargetState
from yandex.cloud.loadbalancer.v1.network_load_balancer_service_pb2 import (
    CreateNetworkLoadBalancerRequest,
    GetTargetStatesResponse,
)
from yandex.cloud.loadbalancer.v1.network_load_balancer_service_pb2_grpc import NetworkLoadBalancerServiceStub
from yandex.cloud.vpc.v1.network_service_pb2 import ListNetworksRequest, ListNetworksResponse
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub

from samovar.certify.cleanup import leftovers
from samovar.certify.comparison import HERE, THERE, Aspect, Difference, read_reference
from samovar.certify.programme import PROGRAMME
from samovar.certify.report import Report, read, report, write
from samovar.certify.run import Bounds, certify
from samovar.cloud.session import Session
from samovar.core.errors import ConfigError
from samovar.core.output import PlainReporter
from samovar.localcloud.api.errors import invalid
from samovar.localcloud.api.pipeline import Api, Call
from samovar.localcloud.compute.disks.model import Disks

BOUNDS = Bounds(timeout=600, interval=0.2)


def certified(session: Session) -> Report:
    run = certify(session, PlainReporter(), BOUNDS)
    return report(run, read_reference(), tool="0", date="2026-01-01")


def networks(session: Session) -> list[str]:
    request = ListNetworksRequest(folder_id=session.folder_id)
    return [network.name for network in session.client(NetworkServiceStub).List(request).networks]


def test_the_reference_holds_and_the_report_has_no_id_and_no_address(session: Session, tmp_path: Path) -> None:
    before = networks(session)
    result = certified(session)
    assert result.run.stopped == ""
    assert [step.name for step in result.run.steps] == [step.name for step in PROGRAMME]
    assert result.differences == (), (
        "`make certify-reference` records it anew, if the local cloud is right: docs/certify.md"
    )
    assert result.same
    assert leftovers(session) == ()
    assert networks(session) == before
    page, data = write(result, read_reference(), tmp_path)
    assert read(data) == result
    for text in (page.read_text(), data.read_text()):
        for private in (session.folder_id, session.cloud_id, "10.66.", "127.0.0.1", "127.66."):
            assert private not in text


def test_differences_of_the_other_cloud_are_reported(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another status of a refusal, a field that is not set, and a state that the local cloud does not have."""
    plain, free = Api.serve, Disks.check_free

    async def serve(api: Api, call: Call) -> Message:
        answer = await plain(api, call)
        if isinstance(answer, ListNetworksResponse):
            for network in answer.networks:
                network.ClearField("created_at")
        if isinstance(answer, GetTargetStatesResponse):
            for target in answer.target_states:
                target.status = TargetState.DRAINING if target.status == TargetState.INITIAL else target.status
        return answer

    def check_free(disks: Disks, disk: Disk) -> None:
        if disk.instance_ids:
            raise invalid("Disk is in use")
        free(disks, disk)

    monkeypatch.setattr(Api, "serve", serve)
    monkeypatch.setattr(Disks, "check_free", check_free)
    result = certified(session)
    assert result.run.stopped == ""
    differences = set(result.differences)
    assert Difference(Aspect.REFUSAL, HERE, ("DiskService.Delete", "INVALID_ARGUMENT", "Disk is in use")) in differences
    assert Difference(Aspect.FIELD, THERE, ("NetworkService.List", "networks[].created_at")) in differences
    assert Difference(Aspect.STATE, HERE, ("create", "TargetState", "DRAINING")) in differences
    assert {each.aspect for each in differences} == {Aspect.REFUSAL, Aspect.FIELD, Aspect.STATE, Aspect.ORDER}


def test_a_folder_that_is_not_empty_is_left_alone(session: Session) -> None:
    request = CreateNetworkLoadBalancerRequest(
        folder_id=session.folder_id, name="shop", region_id="ru-central1", type=NetworkLoadBalancer.EXTERNAL
    )
    session.finish(session.client(NetworkLoadBalancerServiceStub).Create(request), what="a balancer")
    with pytest.raises(ConfigError, match="is not empty: load-balancer shop") as error:
        certify(session, PlainReporter(), BOUNDS)
    assert "YC_FOLDER_ID" in error.value.remedy
    assert leftovers(session) == ()
