"""A status is not green where a balancer, or a listener of one, was removed in the cloud."""

from __future__ import annotations

from yandex.cloud.loadbalancer.v1 import network_load_balancer_service_pb2 as rpc
from yandex.cloud.loadbalancer.v1.network_load_balancer_service_pb2_grpc import NetworkLoadBalancerServiceStub

from samovar.core.waiting import Pending, wait_for
from samovar.deploy.read_status import read_status
from samovar.deploy.resources.resource import Kind, Ref
from samovar.deploy.status import Status
from samovar.project.environment import Environment
from tests.support.environments import changed
from tests.support.service import Service

BALANCER = Ref(Kind.LOAD_BALANCER, "dev-nginx")
LOST = "has no listener in the cloud"


def healthy(service: Service, environment: Environment) -> Status:
    def probe() -> Status | Pending:
        status = read_status(service.session, environment)
        return status if status.healthy else Pending(status.summary())

    return wait_for("healthy", probe, timeout=60)


def test_a_listener_or_a_balancer_that_was_removed_is_shown_until_a_rollout_puts_it_back(
    service: Service, dev: Environment
) -> None:
    edge = changed(dev, groups=(changed(dev.group("nginx"), upstreams={}),))
    service.roll_out(edge)
    urls = healthy(service, edge).endpoints.all
    client, identifier = service.session.client(NetworkLoadBalancerServiceStub), service.ids(edge)[BALANCER]
    for name in ("https", "http"):
        removal = rpc.RemoveNetworkLoadBalancerListenerRequest(network_load_balancer_id=identifier, listener_name=name)
        service.session.finish(client.RemoveListener(removal), what=f"remove {name}")
    actual = read_status(service.session, edge)
    assert (actual.groups_healthy, actual.healthy) == (True, False)
    assert {each.url for each in actual.unanswered} == set(urls)
    assert all(LOST in each.reason and "rollout dev` puts it back" in each.reason for each in actual.unanswered)

    service.roll_out(edge)
    assert healthy(service, edge).endpoints.all == urls
    deletion = rpc.DeleteNetworkLoadBalancerRequest(network_load_balancer_id=identifier)
    service.session.finish(client.Delete(deletion), what="delete the balancer")
    actual = read_status(service.session, edge)
    assert {each.url for each in actual.unanswered} == set(urls)
    assert {machine.balancer for machine in actual.groups[0].machines} == {"ABSENT"}
    service.roll_out(edge)
    assert healthy(service, edge).endpoints.all == urls
