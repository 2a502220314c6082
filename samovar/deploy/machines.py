"""The machines of an environment: which there are, and what they wrote to their serial consoles."""

from __future__ import annotations

from yandex.cloud.compute.v1 import instance_service_pb2 as rpc
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub

from samovar.cloud.errors import CallFailed
from samovar.cloud.labels import is_of
from samovar.cloud.session import Session
from samovar.core.errors import ConfigError
from samovar.deploy.resources.resource import group_resource_name

PREFIX = "samovar: "
"""The beginning of every message of the agent and of the image's services on a console."""
HOST_KEY = "host key "


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


def read_console(session: Session, instance_id: str) -> str:
    """Return all that the cloud has kept of a machine's console."""
    request = rpc.GetInstanceSerialPortOutputRequest(instance_id=instance_id)
    return session.client(InstanceServiceStub).GetSerialPortOutput(request).contents


def last_message(session: Session, instance_id: str) -> str | None:
    """Return the last message of the agent or a service on the console; None where there is none."""
    try:
        lines = read_console(session, instance_id).splitlines()
    except CallFailed:
        return None
    return next((message for line in reversed(lines) if (message := _message(line))), None)


def _message(line: str) -> str:
    """The message of a line for people; host keys are for programs."""
    if PREFIX not in line:
        return ""
    text = "".join(letter for letter in line.rpartition(PREFIX)[2] if letter.isprintable())
    return "" if text.startswith(HOST_KEY) else text
