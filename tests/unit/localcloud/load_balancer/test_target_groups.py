"""The targets of one group are in one network, in one subnet of each zone, and not too many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.rpc.code_pb2 import Code
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target, TargetGroup
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.load_balancer.target_groups.model import add_targets, check_places
from samovar.localcloud.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a store with a group, and with subnets: `a` and `b`, another one of zone a, and one of another network."""
    store = Store(tmp_path / "cloud.sqlite")
    places = {"a": ("net", "zone-a", 1), "b": ("net", "zone-b", 2), "second": ("net", "zone-a", 3)}
    for subnet_id, (network, zone, number) in {**places, "strange": ("other", "zone-b", 4)}.items():
        cidr = f"10.{number}.0.0/16"
        store.put(Subnet(id=subnet_id, network_id=network, zone_id=zone, v4_cidr_blocks=[cidr]))
    store.put(TargetGroup(id="targets"))
    yield store
    store.close()


def _targets(subnet_id: str, number: int, count: int = 1) -> list[Target]:
    return [Target(subnet_id=subnet_id, address=f"10.{number}.1.{each}") for each in range(count)]


def test_targets_are_in_one_subnet_of_each_zone_of_a_network(store: Store) -> None:
    targets = [*_targets("a", 1), *_targets("b", 2)]
    check_places(store, targets)
    for subnet_id, number, reason in (("second", 3, "one subnet of each zone"), ("strange", 4, "one network")):
        with pytest.raises(Refused, match=reason) as refused:
            check_places(store, [*targets, *_targets(subnet_id, number)])
        assert refused.value.code == Code.INVALID_ARGUMENT


def test_an_instance_group_has_targets_in_two_subnets_of_a_zone_while_it_moves(store: Store) -> None:
    for targets in (_targets("a", 1), _targets("second", 3)):
        add_targets(store, "targets", targets)
    assert len(store.must(TargetGroup, "targets").targets) == 2


def test_a_group_has_at_most_254_targets(store: Store) -> None:
    with pytest.raises(Refused, match="at most 254 targets"):
        check_places(store, _targets("a", 1, 255))
