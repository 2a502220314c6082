"""Reads an environment's status from the cloud: lists at the same time, then the members of each group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from yandex.cloud.compute.v1.instancegroup import instance_group_pb2 as groups_api
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups_rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.loadbalancer.v1 import network_load_balancer_pb2 as balancers_api
from yandex.cloud.loadbalancer.v1 import network_load_balancer_service_pb2 as balancers_rpc
from yandex.cloud.loadbalancer.v1.network_load_balancer_service_pb2_grpc import NetworkLoadBalancerServiceStub

from samovar.cloud.labels import GROUP
from samovar.cloud.local_admin import machines_of
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently, start
from samovar.deploy.console import CONSOLES, console_warnings, last_reason
from samovar.deploy.listeners import endpoints, lost_listeners, lost_urls
from samovar.deploy.machines import list_instances
from samovar.deploy.observe import list_owned
from samovar.deploy.resources.disk import list_disks
from samovar.deploy.resources.instance_group import InstanceGroupHandler
from samovar.deploy.resources.load_balancer import LoadBalancerHandler
from samovar.deploy.resources.seed_record import record_healthy
from samovar.deploy.status import GroupStatus, MachineStatus, Status
from samovar.images.publish import published
from samovar.project.environment import Environment

Member = groups_api.ManagedInstance
RUNNING = frozenset({Member.CHECKING_HEALTH, Member.OPENING_TRAFFIC, Member.RUNNING_ACTUAL, Member.RUNNING_OUTDATED})
"""The states in which a machine is up, so that its console is current."""


@dataclass(frozen=True)
class Machines:
    """The facts about machines that their group does not have, by id."""

    image_names: Mapping[str, str]
    image_of_instance: Mapping[str, str]
    created_at: Mapping[str, str]
    pids: Mapping[str, int | None]
    simulated: bool

    def image(self, instance_id: str) -> str:
        """Return the name of the image of an instance's boot disk, or its id where the tool did not publish it."""
        return self.image_name(self.image_of_instance.get(instance_id, ""))

    def image_name(self, image_id: str) -> str:
        return self.image_names.get(image_id, image_id)


def read_status(session: Session, environment: Environment) -> Status:
    """Return the status of every group in the environment's file; one that was not rolled out has no machines."""
    groups = start(partial(list_owned, InstanceGroupHandler(), session, environment.name))
    balancers = start(partial(list_owned, LoadBalancerHandler(), session, environment.name))
    machines = _read_machines(session)
    group_of = {message.labels[GROUP]: message for message in groups.result()}
    balancer_of = {message.labels[GROUP]: message for message in balancers.result()}
    statuses = run_concurrently(
        *(
            partial(_read_group, session, group_of[group.name], balancer_of.get(group.name), group.name, machines)
            if group.name in group_of
            else partial(GroupStatus, group.name, group.size, None)
            for group in environment.groups
        )
    )
    unanswered = lost_urls(session, environment, lost_listeners(environment, statuses, balancer_of))
    return Status(
        environment.name,
        tuple(statuses),
        endpoints(environment, balancer_of),
        unanswered,
        simulated=machines.simulated,
    )


def read_status_and_record(session: Session, environment: Environment) -> Status:
    """Return the status; seeds of healthy groups are recorded, and what cannot be recorded is a warning.

    So is what machines tell on their consoles.
    """
    status = read_status(session, environment)
    recorded = record_healthy(session, status.environment, status.healthy_groups)
    return replace(status, warnings=(*recorded, *console_warnings(session, environment, status)))


def _read_machines(session: Session) -> Machines:
    images, disks = start(partial(published, session)), start(partial(list_disks, session))
    instances = start(partial(list_instances, session))
    host = session.host.status() if session.host else None
    image_of_disk = {disk.id: disk.source_image_id for disk in disks.result()}
    return Machines(
        image_names={image.id: image.name for image in images.result()},
        image_of_instance={each.id: image_of_disk.get(each.boot_disk.disk_id, "") for each in instances.result()},
        created_at={each.id: each.created_at.ToJsonString() for each in instances.result()},
        pids={machine.id: machine.pid for machine in machines_of(host)} if host else {},
        simulated=bool(host and host["simulated"]),
    )


def _read_group(
    session: Session,
    group: groups_api.InstanceGroup,
    balancer: balancers_api.NetworkLoadBalancer | None,
    name: str,
    machines: Machines,
) -> GroupStatus:
    request = groups_rpc.ListInstanceGroupInstancesRequest(instance_group_id=group.id)
    client = session.client(InstanceGroupServiceStub)
    targets = start(partial(_target_states, session, balancer, group.load_balancer_state.target_group_id))
    members = session.list(client.ListInstances, request, lambda page: page.instances)
    states = targets.result() if group.HasField("load_balancer_spec") else None
    named = zip(member_names(group.name, members), members, strict=True)
    statuses = [_read_machine(member, machine_name, states, machines) for machine_name, member in named]
    return GroupStatus(
        name,
        _target_size(group),
        machines.image_name(group.instance_template.boot_disk_spec.disk_spec.image_id),
        tuple(sorted(_with_messages(session, statuses), key=lambda machine: machine.name)),
        group.id,
    )


def _target_size(group: groups_api.InstanceGroup) -> int:
    """The present size of a group that is scaled by load is the cloud's business."""
    autoscaled = group.scale_policy.WhichOneof("scale_type") == "auto_scale"
    return group.managed_instances_state.target_size if autoscaled else group.scale_policy.fixed_scale.size


def _target_states(
    session: Session, balancer: balancers_api.NetworkLoadBalancer | None, target_group: str
) -> dict[str, str]:
    """Return the state of each target by its address; empty while no target group is attached."""
    if balancer is None or target_group not in {each.target_group_id for each in balancer.attached_target_groups}:
        return {}
    request = balancers_rpc.GetTargetStatesRequest(network_load_balancer_id=balancer.id, target_group_id=target_group)
    states = session.client(NetworkLoadBalancerServiceStub).GetTargetStates(request).target_states
    return {state.address: balancers_api.TargetState.Status.Name(state.status) for state in states}


def member_names(group: str, members: Sequence[groups_api.ManagedInstance]) -> list[str]:
    """Return the name of each member; one without an instance, which the cloud gives none, is named by its group."""
    numbers = count(1)
    return [member.name or _unborn(group, next(numbers)) for member in members]


def _unborn(group: str, number: int) -> str:
    return f"{group} (not created{f', {number}' if number > 1 else ''})"


def _read_machine(
    member: groups_api.ManagedInstance, name: str, targets: Mapping[str, str] | None, machines: Machines
) -> MachineStatus:
    address = next((nic.primary_v4_address.address for nic in member.network_interfaces), "")
    machine = MachineStatus(
        name=name,
        zone=member.zone_id,
        address=address,
        status=Member.Status.Name(member.status),
        image=machines.image(member.instance_id),
        balancer=None if targets is None else targets.get(address, "ABSENT"),
        pid=machines.pids.get(member.instance_id),
        id=member.instance_id,
        created_at=machines.created_at.get(member.instance_id),
    )
    return machine if machine.healthy else replace(machine, message=member.status_message or None)


def _with_messages(session: Session, machines: Sequence[MachineStatus]) -> list[MachineStatus]:
    """Tell of the first machines that are up and not healthy what is on their consoles: each is a call of its own."""
    asked = [each for each in machines if not each.healthy and Member.Status.Value(each.status) in RUNNING][:CONSOLES]
    messages = run_concurrently(*(partial(last_reason, session, machine.id) for machine in asked))
    shown = {machine.id: message for machine, message in zip(asked, messages, strict=True) if message}
    return [replace(machine, message=shown.get(machine.id, machine.message)) for machine in machines]
