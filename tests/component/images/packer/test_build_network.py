"""The build network of Packer, and what a bake leaves in the cloud: on the real API, over a simulated host."""

from __future__ import annotations

import time
from operator import attrgetter
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

from samovar.cloud.labels import of_bake, of_image
from samovar.cloud.session import Session
from samovar.core.output import PlainReporter
from samovar.core.proc import process_identity
from samovar.images.builders.packer import builder
from samovar.images.builders.packer.build_network import build_network
from samovar.images.builders.packer.cleanup import LIFETIME, any_bake, find_abandoned, leftovers_of, remove
from tests.support.checkout import PROJECT
from tests.support.processes import ended_process

DIGEST = "0123456789ab"


def listed(session: Session) -> list[Any]:
    """Return the networks, subnets, security groups, machines and disks."""
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
    things = session.list(session.client(SecurityGroupServiceStub).List, request, lambda page: page.security_groups)
    return [group for group in things if not group.default_for_network]


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


def test_build_network_accepts_ssh_from_the_builder_alone_and_is_removed(session: Session) -> None:
    with build_network(session, PlainReporter(), ssh_from="198.51.100.7/32") as network:
        things = [thing for thing in listed(session) if not getattr(thing, "default_for_network", False)]
        assert {thing.labels["managed-by"] for thing in things} == {"samovar"}
        (group,) = security_groups(session)
        assert group.id == network.security_group
        (inward,) = [rule for rule in group.rules if rule.direction == SecurityGroupRule.INGRESS]
        assert (inward.ports.from_port, inward.ports.to_port, inward.protocol_name) == (22, 22, "TCP")
        assert list(inward.cidr_blocks.v4_cidr_blocks) == ["198.51.100.7/32"]
    assert listed(session) == []


def test_build_network_warns_of_ssh_from_anywhere_unless_it_was_requested(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    with build_network(session, PlainReporter()):
        (group,) = security_groups(session)
        assert ["0.0.0.0/0"] in [list(rule.cidr_blocks.v4_cidr_blocks) for rule in group.rules if rule.ports.from_port]
        assert "--ssh-from" in capsys.readouterr().err
        with build_network(session, PlainReporter(), ssh_from="0.0.0.0/0"):
            assert "--ssh-from" not in capsys.readouterr().err


def test_build_network_is_shared_and_removed_after_the_last_bake(session: Session) -> None:
    with build_network(session, PlainReporter()) as first:
        with build_network(session, PlainReporter(), ssh_from="198.51.100.7/32") as second:
            assert first == second
            make_disk(session, "elsewhere-1")
        assert [thing.name for thing in listed(session) if thing.id == first.network] == ["samovar-bake"]
        assert any_bake(session)
        remove(session, leftovers_of(session, "elsewhere-1", "nginx"), PlainReporter())
    assert listed(session) == []


def test_leftovers_of_a_killed_bake_are_removed_by_their_labels(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    make_disk(session, whose := ended_process())
    make_disk(session, process_identity())
    make_disk(session, "elsewhere-1")
    things = find_abandoned(session)
    assert [str(left).split(" (")[0] for left in things] == [f"disk disk-{whose}"]
    remove(session, things, PlainReporter())
    assert sorted(thing.name for thing in listed(session)) == sorted([f"disk-{process_identity()}", "disk-elsewhere-1"])
    assert f"remove disk disk-{whose}" in capsys.readouterr().err


def test_leftovers_are_removed_even_with_nothing_to_bake(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    make_disk(session, ended_process())
    monkeypatch.setattr(builder, "missing_images", lambda *_, **__: ())
    assert builder.bake_packer(session, PROJECT, ["samovar-base"], reporter=PlainReporter()) == ()
    assert listed(session) == []


def test_concurrent_bakes_have_leftovers_of_their_own(session: Session) -> None:
    make_disk(session, process_identity())
    assert [left.image for left in leftovers_of(session, process_identity(), "nginx")] == ["nginx"]
    assert leftovers_of(session, process_identity(), "samovar-base") == ()


def test_age_is_measured_by_the_clock_of_the_cloud(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of ours that is hours ahead makes no bake of a colleague's an old one."""
    make_disk(session, "elsewhere-1")
    assert session.time is not None
    assert abs(session.time - time.time()) < 10
    monkeypatch.setattr(type(session), "time", property(lambda _: None))
    assert find_abandoned(session) == (), "before the cloud has told the time nothing is old"
    monkeypatch.setattr(type(session), "time", property(lambda _: time.time() + LIFETIME + 60))
    assert [left.owner for left in find_abandoned(session)] == ["elsewhere-1"]
