"""The health checks of target groups that are attached to a balancer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.code_pb2 import Code
from yandex.cloud.loadbalancer.v1.health_check_pb2 import HealthCheck
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import AttachedTargetGroup, NetworkLoadBalancer
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.load_balancer.network_load_balancers.model import LoadBalancers
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.addresses.model import Ipam


@pytest.fixture
def balancers(tmp_path: Path) -> Iterator[LoadBalancers]:
    store = Store(tmp_path / "cloud.sqlite")
    store.put(TargetGroup(id="targets"))
    yield LoadBalancers(store, Ipam(store, 0))
    store.close()


def _attached(check: HealthCheck) -> AttachedTargetGroup:
    check.tcp_options.port = 80
    return AttachedTargetGroup(target_group_id="targets", health_checks=[check])


def test_a_check_without_times_has_the_documented_ones(balancers: LoadBalancers) -> None:
    balancer = NetworkLoadBalancer()
    balancers.attach(balancer, _attached(HealthCheck()))
    (check,) = balancer.attached_target_groups[0].health_checks
    assert (check.interval.seconds, check.timeout.seconds) == (2, 1)


@pytest.mark.parametrize("field", ["interval", "timeout"])
@pytest.mark.parametrize("seconds", [-1, 0, 61])
def test_a_check_without_a_pause_or_without_an_end_is_refused(
    balancers: LoadBalancers, field: str, seconds: int
) -> None:
    check = HealthCheck()
    getattr(check, field).CopyFrom(Duration(seconds=seconds))
    with pytest.raises(Refused, match=f"{field} is {seconds} s, not 1 to 60 s") as refused:
        balancers.attach(NetworkLoadBalancer(), _attached(check))
    assert refused.value.code == Code.INVALID_ARGUMENT


def test_a_check_begins_a_second_after_the_one_before_has_ended(balancers: LoadBalancers) -> None:
    check = HealthCheck(interval=Duration(seconds=3), timeout=Duration(seconds=2, nanos=1_000_000))
    with pytest.raises(Refused, match="interval is not a second longer than timeout"):
        balancers.attach(NetworkLoadBalancer(), _attached(check))
    check.timeout.nanos = 0
    balancers.attach(NetworkLoadBalancer(), _attached(check))


def test_a_check_asks_at_no_port_above_32767(balancers: LoadBalancers) -> None:
    attached = _attached(HealthCheck())
    attached.health_checks[0].tcp_options.port = 32768
    with pytest.raises(Refused, match="port 32768 is not 1 to 32767"):
        balancers.attach(NetworkLoadBalancer(), attached)
