"""Reading an environment's status from the cloud: lists side by side, then members and target states side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from yandex.cloud.compute.v1 import disk_service_pb2 as disks
from yandex.cloud.compute.v1 import instance_service_pb2 as instances
from yandex.cloud.compute.v1.disk_service_pb2_grpc import DiskServiceStub
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub
from yandex.cloud.compute.v1.instancegroup import instance_group_pb2 as groups_api
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups_rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.loadbalancer.v1 import network_load_balancer_pb2 as balancers_api
from yandex.cloud.loadbalancer.v1 import network_load_balancer_service_pb2 as balancers_rpc
from yandex.cloud.loadbalancer.v1.network_load_balancer_service_pb2_grpc import NetworkLoadBalancerServiceStub

from samovar.cloud.labels import GROUP
from samovar.cloud.local_admin import machines_of
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.deploy.console import last_word
from samovar.deploy.observe import list_owned
from samovar.deploy.resources.instance_group import InstanceGroupHandler
from samovar.deploy.resources.load_balancer import LoadBalancerHandler
from samovar.deploy.status import GroupStatus, MachineStatus, Status
from samovar.images.publish import published
from samovar.project.environment import BalancerType, Environment

DEFAULT_PORTS = {"http": 80, "https": 443}
Member = groups_api.ManagedInstance
RUNS = frozenset({Member.CHECKING_HEALTH, Member.OPENING_TRAFFIC, Member.RUNNING_ACTUAL, Member.RUNNING_OUTDATED})
"""Where a machine is up, so that what it says is of now."""


@dataclass(frozen=True)
class _Around:
    """What machines are told by beside their group: all by id."""

    image_names: Mapping[str, str]
    image_of_instance: Mapping[str, str]
    pids: Mapping[str, int | None]
    simulated: bool

    def image(self, instance_id: str) -> str:
        """The name of the image that an instance's boot disk was made from, or its id where it is not ours."""
        image_id = self.image_of_instance.get(instance_id, "")
        return self.image_names.get(image_id, image_id)


def inspect(session: Session, environment: Environment) -> Status:
    """The status of every group of the environment's file; one that the cloud does not have yet has no machines."""
    groups, balancers, around = run_concurrently(
        partial(list_owned, InstanceGroupHandler(), session, environment.name),
        partial(list_owned, LoadBalancerHandler(), session, environment.name),
        partial(_around, session),
    )
    by_name = {message.labels[GROUP]: message for message in groups}
    before = {message.labels[GROUP]: message for message in balancers}
    found = run_concurrently(
        *(
            partial(_group, session, group.name, group.size, by_name.get(group.name), before.get(group.name), around)
            for group in environment.groups
        )
    )
    return Status(environment.name, tuple(found), tuple(_endpoints(environment, before)), simulated=around.simulated)


def _around(session: Session) -> Any:
    images, found_disks, found_instances, host = run_concurrently(
        lambda: {image.id: image.name for image in published(session)},
        partial(_disks, session),
        partial(_instances, session),
        lambda: session.host.status() if session.host else {"machines": (), "simulated": False},
    )
    image_of_instance = {i.id: found_disks.get(i.boot_disk.disk_id, "") for i in found_instances}
    pids = {machine.id: machine.pid for machine in machines_of(host)}
    return _Around(images, image_of_instance, pids, host["simulated"])


def _disks(session: Session) -> Any:
    request = disks.ListDisksRequest(folder_id=session.folder_id)
    return {
        disk.id: disk.source_image_id
        for disk in session.list(session.client(DiskServiceStub).List, request, lambda page: page.disks)
    }


def _instances(session: Session) -> Any:
    request = instances.ListInstancesRequest(folder_id=session.folder_id)
    return session.list(session.client(InstanceServiceStub).List, request, lambda page: page.instances)


def _group(
    session: Session,
    name: str,
    size: int,
    message: groups_api.InstanceGroup | None,
    balancer: balancers_api.NetworkLoadBalancer | None,
    around: _Around,
) -> GroupStatus:
    if message is None:
        return GroupStatus(name, size, None)
    request = groups_rpc.ListInstanceGroupInstancesRequest(instance_group_id=message.id)
    client = session.client(InstanceGroupServiceStub)
    members, targets = run_concurrently(
        partial(session.list, client.ListInstances, request, lambda page: page.instances),
        partial(_targets, session, balancer, message.load_balancer_state.target_group_id),
    )
    balanced = message.HasField("load_balancer_spec")
    machines = [_machine(member, targets if balanced else None, around) for member in members]
    image_id = message.instance_template.boot_disk_spec.disk_spec.image_id
    heard = run_concurrently(*(partial(_heard, session, *pair) for pair in zip(machines, members, strict=True)))
    return GroupStatus(
        name,
        message.scale_policy.fixed_scale.size,
        around.image_names.get(image_id, image_id),
        tuple(sorted(heard, key=lambda machine: machine.name)),
    )


def _heard(session: Session, machine: MachineStatus, member: groups_api.ManagedInstance) -> MachineStatus:
    """With what it says of itself, or the cloud of it, where it is not well."""
    if machine.healthy:
        return machine
    said = last_word(session, member.instance_id) if member.status in RUNS else None
    return replace(machine, said=said or member.status_message or None)


def _targets(session: Session, balancer: balancers_api.NetworkLoadBalancer | None, target_group: str) -> Any:
    """The state of each target by its address; empty while nothing is attached."""
    if balancer is None or target_group not in {found.target_group_id for found in balancer.attached_target_groups}:
        return {}
    request = balancers_rpc.GetTargetStatesRequest(network_load_balancer_id=balancer.id, target_group_id=target_group)
    states = session.client(NetworkLoadBalancerServiceStub).GetTargetStates(request).target_states
    return {state.address: balancers_api.TargetState.Status.Name(state.status) for state in states}


def _machine(member: groups_api.ManagedInstance, targets: Mapping[str, str] | None, around: _Around) -> MachineStatus:
    address = next((nic.primary_v4_address.address for nic in member.network_interfaces), "")
    return MachineStatus(
        name=member.name,
        zone=member.zone_id,
        address=address,
        status=groups_api.ManagedInstance.Status.Name(member.status),
        image=around.image(member.instance_id),
        balancer=None if targets is None else targets.get(address, "ABSENT"),
        pid=around.pids.get(member.instance_id),
    )


def _endpoints(
    environment: Environment, balancers: Mapping[str, balancers_api.NetworkLoadBalancer]
) -> list[tuple[str, str]]:
    return [
        (listener.name, _url(listener.name, listener.address, listener.port))
        for group in environment.groups
        if group.balancer and group.balancer.type is BalancerType.EXTERNAL and group.name in balancers
        for listener in balancers[group.name].listeners
    ]


def _url(scheme: str, address: str, port: int) -> str:
    shown = "" if port == DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{address}{shown}/"
