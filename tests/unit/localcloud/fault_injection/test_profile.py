"""Profiles: what follows from a seed, from a pace, and what the documentation says of the parameters."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from yandex.cloud.access.access_pb2 import UpdateAccessBindingsRequest
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.resourcemanager.v1 import folder_service_pb2
from yandex.cloud.vpc.v1 import subnet_service_pb2

from samovar.core.errors import ConfigError
from samovar.localcloud.fault_injection.conditions import Bucket, references, subject_of_change
from samovar.localcloud.fault_injection.profile import (
    NONE,
    YANDEX,
    Draws,
    ProfileChoice,
    Span,
    choice_of,
    choose_profile,
    paced,
    parameters,
)
from samovar.localcloud.home.home import Home

SUBNETS = subnet_service_pb2.DESCRIPTOR.services_by_name["SubnetService"].methods_by_name
FOLDERS = folder_service_pb2.DESCRIPTOR.services_by_name["FolderService"].methods_by_name


def test_the_same_seed_draws_the_same_with_other_calls_between() -> None:
    one, other = Draws(7), Draws(7)
    first = [one.next("boot") for _ in range(3)]
    drawn = []
    for _ in range(3):
        other.next("operation")
        drawn.append(other.next("boot"))
    assert drawn == first
    assert [Draws(8).next("boot")] != first[:1]


def test_draws_are_spread_evenly() -> None:
    draws = Draws(1)
    drawn = [draws.next("boot") for _ in range(10_000)]
    assert 0 <= min(drawn) < 0.01
    assert 0.99 < max(drawn) < 1
    assert abs(sum(drawn) / len(drawn) - 0.5) < 0.02


def test_a_pace_shortens_every_wait_alike_and_no_failure() -> None:
    quick = paced(YANDEX, 0.1)
    for each in fields(YANDEX):
        before, after = getattr(YANDEX, each.name), getattr(quick, each.name)
        if isinstance(before, Span):
            assert (after.shortest, after.longest) == pytest.approx((before.shortest / 10, before.longest / 10))
        elif each.name.endswith("_per_second"):
            assert after == pytest.approx(before * 10)
        else:
            assert after == before


def test_every_parameter_has_a_description() -> None:
    described = list(parameters(YANDEX))
    assert [name for name, _, _ in described] == [each.name for each in fields(YANDEX)]
    assert all(parameter.meaning.endswith(".") and parameter.source for _, _, parameter in described)


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    bucket, passed = Bucket.full(10, 0.0), 0
    for call in range(1000):  # in ten seconds
        bucket = bucket.after(call / 100)
        passed += not bucket.refuses
    assert 115 <= passed <= 121


def test_a_change_is_about_the_first_resource_that_it_names() -> None:
    update = subnet_service_pb2.UpdateSubnetRequest(subnet_id="e9b1")
    assert subject_of_change(SUBNETS["Update"], update) == "e9b1"
    create = subnet_service_pb2.CreateSubnetRequest(folder_id="b1g1", network_id="enp1")
    assert not subject_of_change(SUBNETS["Create"], create)
    bind = UpdateAccessBindingsRequest(resource_id="b1g1")
    assert subject_of_change(FOLDERS["UpdateAccessBindings"], bind) == "b1g1"


def test_a_machine_refers_to_what_its_deletion_frees() -> None:
    instance = Instance(id="fhm1", folder_id="b1g1", zone_id="ru-central1-a", service_account_id="aje1")
    instance.boot_disk.disk_id = "epd1"
    instance.network_interfaces.add(subnet_id="e9b1", security_group_ids=["enp1", "enp2"])
    assert sorted(references(instance)) == ["e9b1", "enp1", "enp2", "epd1"]


def test_a_home_keeps_its_profile_and_what_is_not_given_anew(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert choose_profile(home, None, None, None) is None
    first = choose_profile(home, "yandex", 0.1, None)
    assert first is not None
    assert choice_of(home) == first
    assert choose_profile(home, None, None, 5) == ProfileChoice("yandex", 0.1, 5)
    assert choose_profile(home, None, 0.5, None) == ProfileChoice("yandex", 0.5, 5)
    assert choose_profile(home, NONE, None, None) is None
    assert choice_of(home) is None
    with pytest.raises(ConfigError, match="are for a profile"):
        choose_profile(home, None, 0.5, None)
