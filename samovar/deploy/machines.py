"""The machines of an environment: finds them, and checks that their data disks outlive them."""

from __future__ import annotations

from yandex.cloud.compute.v1 import instance_service_pb2 as rpc
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub

from samovar.cloud.labels import is_of
from samovar.cloud.session import Session
from samovar.core.errors import CloudError, ConfigError, command_line
from samovar.deploy.resources.resource import group_resource_name


def list_instances(session: Session) -> list[Instance]:
    """Return all instances of the folder."""
    request = rpc.ListInstancesRequest(folder_id=session.folder_id)
    return session.list(session.client(InstanceServiceStub).List, request, lambda page: page.instances)


def list_machines(session: Session, environment: str) -> list[Instance]:
    """Return the instances that belong to the environment."""
    return [instance for instance in list_instances(session) if is_of(instance.labels, environment)]


def find_machine(session: Session, environment: str, machine: str) -> Instance:
    """Return a machine by its name in the cloud, or by its name without the environment.

    Raises ConfigError with the machines that exist.
    """
    by_name = {instance.name: instance for instance in list_machines(session, environment)}
    for name in (machine, group_resource_name(environment, machine)):
        if name in by_name:
            return by_name[name]
    names = ", ".join(sorted(by_name)) or "none"
    raise ConfigError(f"{environment} has no machine {machine}", remedy=f"machines of {environment}: {names}")


def check_disks_outlive_machines(session: Session, environment: str) -> None:
    """Raise CloudError where a data disk would be deleted together with the machine that it is attached to.

    The API's documentation says that disks of a group's machine are deleted with it, and does not except those that
    are attached by `disk_id`. So each rollout asks.
    """
    attached = [each for each in list_machines(session, environment) if each.secondary_disks]
    machines = [_get(session, instance.id) for instance in attached]
    lost = [f"{each.name} ({disk.disk_id})" for each in machines for disk in each.secondary_disks if disk.auto_delete]
    if lost:
        raise CloudError(
            f"{environment}: the cloud would delete the data disk together with the machine: {', '.join(lost)}",
            remedy=f"put no data on it, and keep what is there by `{command_line(f'disk snapshot {environment}')}`: "
            "the disk is gone as soon as the group makes the machine anew",
        )


def _get(session: Session, instance_id: str) -> Instance:
    return session.client(InstanceServiceStub).Get(rpc.GetInstanceRequest(instance_id=instance_id))
