"""Where Packer builds, and what a bake leaves in the cloud: on the real API, over a simulated host."""

from __future__ import annotations

import time
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1 import instance_service_pb2 as instances
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.vpc.v1 import network_service_pb2 as networks
from yandex.cloud.vpc.v1 import security_group_service_pb2 as groups
from yandex.cloud.vpc.v1 import subnet_service_pb2 as subnets
from yandex.cloud.vpc.v1.network_service_pb2_grpc import NetworkServiceStub
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroup, SecurityGroupRule
from yandex.cloud.vpc.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub
from yandex.cloud.vpc.v1.subnet_service_pb2_grpc import SubnetServiceStub

from samovar.cloud.connection import Access
from samovar.cloud.labels import of_bake, of_image
from samovar.cloud.session import Session
from samovar.core.output import PlainReporter
from samovar.images.packer import builder
from samovar.images.packer.build_network import build_place
from samovar.images.packer.cleanup import abandoned, bakes_run, remove
from samovar.images.packer.cleanup import of_bake as left_by
from samovar.images.packer.owner import LIFETIME, holder
from tests.support.checkout import PROJECT
from tests.support.process import ended_process
from tests.support.simulated import RunningCloud

DIGEST = "0123456789ab"


@pytest.fixture
def session(cloud: RunningCloud) -> Session:
    ends = cloud.endpoint
    return Session(Access(endpoint=ends.grpc, folder_id=ends.folder_id, ca=Path(ends.ca), token=ends.token))


def listed(session: Session) -> list[Any]:
    """Networks, subnets, security groups, machines and disks."""
    folder = session.folder_id
    return [
        *session.list(
            session.client(NetworkServiceStub).List,
            networks.ListNetworksRequest(folder_id=folder),
            attrgetter("networks"),
        ),
        *session.list(
            session.client(SubnetServiceStub).List,
            subnets.ListSubnetsRequest(folder_id=folder),
            attrgetter("subnets"),
        ),
        *security_groups(session),
        *session.list(
            session.client(InstanceServiceStub).List,
            instances.ListInstancesRequest(folder_id=folder),
            attrgetter("instances"),
        ),
        *session.list(
            session.client(DiskServiceStub).List, disks.ListDisksRequest(folder_id=folder), attrgetter("disks")
        ),
    ]


def security_groups(session: Session) -> list[SecurityGroup]:
    request = groups.ListSecurityGroupsRequest(folder_id=session.folder_id)
    found = session.list(session.client(SecurityGroupServiceStub).List, request, lambda page: page.security_groups)
    return [group for group in found if not group.default_for_network]


def make_disk(session: Session, whose: str, image: str = "nginx") -> None:
    request = disks.CreateDiskRequest(
        folder_id=session.folder_id,
        name=f"disk-{whose}",
        type_id="network-ssd",
        zone_id="ru-central1-a",
        size=4 << 20,
        labels=of_image(image, DIGEST, DIGEST) | of_bake(whose),
    )
    session.finish(session.client(DiskServiceStub).Create(request), what="disk")


def test_a_place_is_labelled_lets_ssh_in_from_the_builder_alone_and_goes(session: Session) -> None:
    with build_place(session, PlainReporter(), ssh_from="198.51.100.7/32") as place:
        found = [thing for thing in listed(session) if not getattr(thing, "default_for_network", False)]
        assert {thing.labels["managed-by"] for thing in found} == {"samovar"}
        (group,) = security_groups(session)
        assert group.id == place.security_group
        (inward,) = [rule for rule in group.rules if rule.direction == SecurityGroupRule.INGRESS]
        assert (inward.ports.from_port, inward.ports.to_port, inward.protocol_name) == (22, 22, "TCP")
        assert list(inward.cidr_blocks.v4_cidr_blocks) == ["198.51.100.7/32"]
    assert listed(session) == []


def test_a_door_that_is_open_to_all_is_told_and_one_that_was_asked_for_is_not(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    with build_place(session, PlainReporter()):
        (group,) = security_groups(session)
        assert ["0.0.0.0/0"] in [list(rule.cidr_blocks.v4_cidr_blocks) for rule in group.rules if rule.ports.from_port]
        assert "--ssh-from" in capsys.readouterr().err
        with build_place(session, PlainReporter(), ssh_from="0.0.0.0/0"):
            assert "--ssh-from" not in capsys.readouterr().err


def test_one_place_serves_all_that_bake_and_stays_while_anybody_does(session: Session) -> None:
    with build_place(session, PlainReporter()) as first:
        with build_place(session, PlainReporter(), ssh_from="198.51.100.7/32") as second:
            assert first == second
            make_disk(session, "elsewhere-1")
        assert [thing.name for thing in listed(session) if thing.id == first.network] == ["samovar-bake"]
        assert bakes_run(session)
        remove(session, left_by(session, "elsewhere-1", "nginx"), PlainReporter())
    assert listed(session) == []


def test_what_a_dead_bake_left_is_found_by_its_labels_and_removed(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    make_disk(session, whose := ended_process())
    make_disk(session, holder())
    make_disk(session, "elsewhere-1")
    found = abandoned(session)
    assert [str(left).split(" (")[0] for left in found] == [f"disk disk-{whose}"]
    remove(session, found, PlainReporter())
    assert sorted(thing.name for thing in listed(session)) == sorted([f"disk-{holder()}", "disk-elsewhere-1"])
    assert f"remove disk disk-{whose}" in capsys.readouterr().err


def test_it_is_removed_as_well_where_there_is_nothing_to_bake(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_disk(session, ended_process())
    monkeypatch.setattr(builder, "_waves", lambda *_, **__: ())
    assert builder.bake_packer(session, PROJECT, ["samovar-base"], reporter=PlainReporter()) == ()
    assert listed(session) == []


def test_of_bakes_side_by_side_each_removes_its_own(session: Session) -> None:
    make_disk(session, holder())
    assert [left.image for left in left_by(session, holder(), "nginx")] == ["nginx"]
    assert left_by(session, holder(), "samovar-base") == ()


def test_age_is_told_by_the_clouds_own_clock(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of ours that is hours ahead makes no bake of a colleague's an old one."""
    make_disk(session, "elsewhere-1")
    assert session.time is not None
    assert abs(session.time - time.time()) < 10
    monkeypatch.setattr(type(session), "time", property(lambda _: None))
    assert abandoned(session) == (), "before the cloud has told the time nothing is old"
    monkeypatch.setattr(type(session), "time", property(lambda _: time.time() + LIFETIME + 60))
    assert [left.holder for left in abandoned(session)] == ["elsewhere-1"]
