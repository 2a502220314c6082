"""What a machine wrote to its serial console."""

from __future__ import annotations

from typing import Any

from yandex.cloud.compute.v1 import instance_service_pb2 as rpc
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub

from samovar.cloud.errors import CallFailed
from samovar.cloud.labels import is_of
from samovar.cloud.session import Session
from samovar.core.errors import ConfigError
from samovar.deploy.resources.resource import group_resource_name

VOICE = "samovar: "
"""What stands before all that our agent and services say on a console."""
HOST_KEY = "host key "


def console(session: Session, environment: str, machine: str) -> str:
    """All that the cloud has kept of it. `machine` is a name in the cloud, or one without the environment before it."""
    request = rpc.GetInstanceSerialPortOutputRequest(instance_id=machine_id(session, environment, machine))
    answer: Any = session.client(InstanceServiceStub).GetSerialPortOutput(request)
    return str(answer.contents)


def last_word(session: Session, instance_id: str) -> str | None:
    """The last that Samovar's own parts of a machine said there; None where they said nothing, or it is gone."""
    request = rpc.GetInstanceSerialPortOutputRequest(instance_id=instance_id)
    try:
        answer: Any = session.client(InstanceServiceStub).GetSerialPortOutput(request)
    except CallFailed:
        return None
    return next((found for line in reversed(answer.contents.splitlines()) if (found := _word(line))), None)


def _word(line: str) -> str:
    """What a line tells people; a host key is told to programs."""
    said = "".join(letter for letter in line.rpartition(VOICE)[2] if letter.isprintable()) if VOICE in line else ""
    return "" if said.startswith(HOST_KEY) else said


def machine_id(session: Session, environment: str, machine: str) -> str:
    """Raises ConfigError with the machines that there are."""
    request = rpc.ListInstancesRequest(folder_id=session.folder_id)
    found = session.list(session.client(InstanceServiceStub).List, request, lambda page: page.instances)
    ids = {instance.name: str(instance.id) for instance in found if is_of(instance.labels, environment)}
    for name in (machine, group_resource_name(environment, machine)):
        if name in ids:
            return ids[name]
    known = ", ".join(sorted(ids)) or "none"
    raise ConfigError(f"{environment} has no machine {machine}", remedy=f"machines of {environment}: {known}")
