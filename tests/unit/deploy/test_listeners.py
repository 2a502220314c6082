"""Listeners that the file states and the cloud does not have are known once a machine of their group is up."""

from __future__ import annotations

from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import Listener, NetworkLoadBalancer

from samovar.deploy.listeners import endpoints, lost_listeners
from samovar.deploy.status import GroupStatus, MachineStatus
from tests.support.checkout import environment
from tests.support.environments import changed

DEV = environment("dev")
EDGE = changed(DEV, groups=(changed(DEV.group("nginx"), upstreams={}),))
UP = MachineStatus("dev-nginx-1", "a", "10.0.0.3", "RUNNING_ACTUAL", "one", "ABSENT")
BOOTING = MachineStatus("dev-nginx-1", "a", "10.0.0.3", "CHECKING_HEALTH", "one", "ABSENT")
HTTP = Listener(name="http", address="127.66.1.1", port=80)
HTTPS = Listener(name="https", address="127.66.1.1", port=443)


def lost(machine: MachineStatus | None, *listeners: Listener) -> list[tuple[str, str, int]]:
    group = GroupStatus("nginx", 1, "one", (machine,) if machine else ())
    balancers = {"nginx": NetworkLoadBalancer(listeners=listeners)} if listeners else {}
    return [*lost_listeners(EDGE, [group], balancers)]


def test_a_listener_that_is_not_there_is_lost() -> None:
    assert lost(UP, HTTP, HTTPS) == []
    assert lost(UP, HTTP) == [("nginx", "https", 443)]
    assert lost(UP) == [("nginx", "http", 80), ("nginx", "https", 443)]


def test_a_balancer_may_be_yet_to_come_while_no_machine_is_up() -> None:
    assert lost(BOOTING) == []
    assert lost(None) == []


def test_endpoints_are_those_of_the_listeners_that_there_are() -> None:
    balancer = NetworkLoadBalancer(listeners=[HTTP, Listener(name="api", address="127.66.1.1", port=9000)])
    actual = endpoints(EDGE, {"nginx": balancer})
    assert actual.all == ("http://127.66.1.1/", "tcp://127.66.1.1:9000")
