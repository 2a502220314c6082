"""Watches the states of groups, machines and targets while the programme runs, more often than its own waits do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.loadbalancer.v1 import network_load_balancer_service_pb2 as balancers
from yandex.cloud.loadbalancer.v1.network_load_balancer_service_pb2_grpc import NetworkLoadBalancerServiceStub

from samovar.certify.environment import NAME
from samovar.cloud.session import Session
from samovar.core.errors import SamovarError
from samovar.deploy.machines import list_instances
from samovar.deploy.observe import list_owned
from samovar.deploy.resources.instance_group import InstanceGroupHandler
from samovar.deploy.resources.load_balancer import LoadBalancerHandler


@contextmanager
def watching(session: Session, interval: float) -> Iterator[None]:
    """Ask for all states every `interval` seconds, in a thread of its own; whoever observes the session sees them.

    With the environment of the programme, these are seven calls each time.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(session, interval, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(session: Session, interval: float, ended: threading.Event) -> None:
    while not ended.wait(interval):
        try:
            _look(session)
        except SamovarError:  # what was listed may be gone; the next look sees what is there
            continue


def _look(session: Session) -> None:
    service = session.client(InstanceGroupServiceStub)
    for group in list_owned(InstanceGroupHandler(), session, NAME):
        request = groups.ListInstanceGroupInstancesRequest(instance_group_id=group.id)
        session.list(service.ListInstances, request, lambda page: page.instances)
    list_instances(session)
    for balancer in list_owned(LoadBalancerHandler(), session, NAME):
        for attached in balancer.attached_target_groups:
            asked = balancers.GetTargetStatesRequest(
                network_load_balancer_id=balancer.id, target_group_id=attached.target_group_id
            )
            session.client(NetworkLoadBalancerServiceStub).GetTargetStates(asked)
