"""Operations that fail although nothing was done: their metadata is what the method's options say it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from google.protobuf import symbol_database
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status
from yandex.cloud.api import operation_pb2
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.constraints import check_constraints
from samovar.localcloud.api.pipeline import Call, Caller
from samovar.localcloud.operations.model import ID_PREFIX, Operations
from samovar.localcloud.store.ids import new_id


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
