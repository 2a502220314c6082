"""Faults on request: what a call meets instead of its answer, how often, and which calls do; operations that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated

from google.protobuf import symbol_database
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from pydantic import Field
from yandex.cloud.api import operation_pb2
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.constraints import check_constraints
from samovar.localcloud.api.pipeline import Call, Caller
from samovar.localcloud.operations.model import ID_PREFIX, Operations
from samovar.localcloud.store.ids import new_id

ZONE_FIELD = "zone_id"


class Effect(StrEnum):
    """The effect of a fault: on the call, its operation, its answer, or the start of a machine."""

    CALL = "call"
    """The call is refused and changes nothing."""
    OPERATION = "operation"
    """The call is accepted and changes nothing: its operation ends with the error."""
    ANSWER = "answer"
    """The call is carried out, and the client gets the error instead of the answer."""
    START = "start"
    """A machine that is about to start gets no host, as in a zone without free capacity."""


MESSAGES: Mapping[int, str] = {
    Code.ABORTED: "The resource is being changed by another operation",
    Code.FAILED_PRECONDITION: "The resource is in use",
    Code.RESOURCE_EXHAUSTED: "The limit on maximum number of active operations has exceeded.",
    Code.UNAVAILABLE: "The service is unavailable",
    Code.INTERNAL: "Internal error",
    Code.PERMISSION_DENIED: "Permission denied",
    Code.DEADLINE_EXCEEDED: "Deadline exceeded",
}
"""The texts where a fault has none of its own: of RESOURCE_EXHAUSTED that of Compute Cloud, the others are assumed."""
NO_CAPACITY = "Not enough resources in zone {zone} to start the instance"
"""Assumed."""


@dataclass(frozen=True)
class Fault:
    """A fault. `method` is a pattern over `InstanceService/Create`; `delay` is in seconds; `code` is that of gRPC.

    `code` is empty for a delay alone. `times` is how often it strikes, None for ever; `struck` how often it has.
    `share` is the part of the calls that it strikes. `zone` restricts it to calls that name the zone, or to machines
    in it. `added` is a date in seconds since 1970.
    """

    id: str
    method: str = "*"
    effect: Effect = Effect.CALL
    code: str = ""
    message: str = ""
    delay: Annotated[float, Field(ge=0)] = 0.0
    times: Annotated[int, Field(ge=1)] | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    zone: str = ""
    added: float = 0.0
    struck: int = 0

    @property
    def text(self) -> str:
        """The message of the error that a call meets."""
        return self.message or MESSAGES.get(Code.Value(self.code), f"{self.code} on request")


def strikes_call(fault: Fault, method: MethodDescriptor, request: Message, draw: float) -> bool:
    """Return whether a fault strikes a call. `draw` is a random number from 0 up to 1."""
    return (
        fault.effect is not Effect.START
        and draw < fault.share
        and applies(fault, method)
        and fault.zone in {"", *zones_of(request)}
    )


def strikes_start(fault: Fault, zone: str, draw: float) -> bool:
    """Return whether a fault strikes the start of a machine in a zone."""
    return fault.effect is Effect.START and fault.zone in {"", zone} and draw < fault.share


def applies(fault: Fault, method: MethodDescriptor) -> bool:
    """Return whether a method is of the fault's pattern: `InstanceService/Create`, `*/Get`, `*`, or the full name."""
    service = method.containing_service
    if fault.effect is Effect.OPERATION and not starts_operation(method):
        return False
    names = (service.name, service.full_name)
    return fault.method == "*" or any(fnmatchcase(f"{name}/{method.name}", fault.method) for name in names)


def starts_operation(method: MethodDescriptor) -> bool:
    """Return whether a method answers with an operation of its own, as its option says."""
    return bool(method.GetOptions().Extensions[operation_pb2.operation].metadata)


def zones_of(message: Message) -> Iterator[str]:
    """Yield every zone that a request names."""
    for field, value in message.ListFields():
        if field.name == ZONE_FIELD and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            yield value
        elif field.type == FieldDescriptor.TYPE_MESSAGE and not field.message_type.GetOptions().map_entry:
            for inner in value if field.is_repeated else (value,):
                yield from zones_of(inner)


class FailedOperations:
    """Makes such operations for calls. `subject_of` returns who a token is of."""

    def __init__(self, operations: Operations, subject_of: Callable[[str], str | None]) -> None:
        self._operations = operations
        self._subject_of = subject_of

    def make(self, call: Call, error: Status) -> Operation:
        """Return the operation; a request that breaks a constraint is Refused, as it would be without the fault."""
        check_constraints(call.request)
        caller = Caller(self._subject_of(call.token) or "")
        return self._operations.failed(caller, call.method.name, metadata_of(call.method, call.request), error)


def metadata_of(method: MethodDescriptor, request: Message) -> Message:
    """Return the metadata of a method's operation: with ids of the request, and of resources that never were."""
    metadata = _metadata_class(method)()
    for field in metadata.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            given = getattr(request, field.name, "")
            setattr(metadata, field.name, given or new_id(ID_PREFIX))
    return metadata


def _metadata_class(method: MethodDescriptor) -> type[Message]:
    """Return the class that the option `yandex.cloud.api.operation` names, from the method's package outwards."""
    name = method.GetOptions().Extensions[operation_pb2.operation].metadata
    pool = symbol_database.Default().pool
    scope = method.containing_service.file.package
    while scope:
        with suppress(KeyError):
            return GetMessageClass(pool.FindMessageTypeByName(f"{scope}.{name}"))
        scope = scope.rpartition(".")[0]
    return Empty
