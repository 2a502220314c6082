"""Operations are the answers to mutating calls: done at once, or waiting for a resource to reach a goal.

An operation that is not done names in a note the resource and the goal that it waits for, so that it is followed
again after the daemon was killed. `operations.controller` follows it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from enum import StrEnum
from typing import TypedDict

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.core.errors import SamovarError
from samovar.localcloud import clock
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.clock import now
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import NoteKey, Store, Stored, kind_of

ID_PREFIX = "fhm"


class WaitsFor(TypedDict):
    """The resource that an operation waits for, and the goal that it is to reach."""

    kind: str
    id: str
    goal: str


class HeldOperation(TypedDict):
    """An operation as it will be `until` then (seconds since 1970), serialized in base64."""

    until: float
    ended: str


WAITS_FOR = NoteKey[WaitsFor]("operation.waits_for")
RESOURCE = NoteKey[str]("operation.resource")
FAILURE_REASON = NoteKey[str]("failure.reason")
"""A note on a resource: why the last work on it failed. The error of an operation that waits for it repeats it."""
FAILURE_CODE = NoteKey[int]("failure.code")
"""A note beside it: the code of that error, where it is not ABORTED."""
HELD = NoteKey[HeldOperation]("operation.held")
"""A note on an operation that is done, and shows it later only."""
RETENTION = 7 * 86400.0
"""Seconds for which an operation that is done can be asked for."""


class Goal(StrEnum):
    """The states of a resource that an operation may wait for; the values stand in the store."""

    READY = "ready"
    RUNNING = "running"
    RESTARTED = "restarted"
    STOPPED = "stopped"
    SETTLED = "settled"
    DELETED = "gone"


Outcome = Callable[[Goal, str], Message | None]
"""Returns the response of an operation on a resource, or its error as a Status, or None while it is under way."""


class WorkFailed(SamovarError):
    """Work on a resource that ends its operation with a code of its own."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


def failed(message: str, code: int = Code.ABORTED) -> Status:
    """Return the error of an operation whose goal is out of reach."""
    return Status(code=code, message=message)


class Operations:
    """The operations of all services: they are made here and brought to their end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.hold: Callable[[], float] = float
        """Returns the seconds for which an operation that is done is shown as under way: none."""

    def done(self, caller: Caller, description: str, metadata: Message, response: Message) -> Operation:
        """Return an operation that is done in its first answer."""
        operation = self._new(caller, description, metadata)
        operation.done = True
        operation.response.Pack(response)
        return self._put(operation, response)

    def deleted(self, caller: Caller, description: str, metadata: Message) -> Operation:
        """Return the same for a deletion, which answers with nothing."""
        return self.done(caller, description, metadata, Empty())

    def failed(self, caller: Caller, description: str, metadata: Message, error: Status) -> Operation:
        """Return an operation that has failed in its first answer."""
        operation = self._new(caller, description, metadata)
        operation.done = True
        operation.error.CopyFrom(error)
        return self._put(operation, Empty())

    def waiting(self, caller: Caller, description: str, metadata: Message, resource: Stored, goal: Goal) -> Operation:
        """Return an operation that ends when `resource` reaches `goal`, or fails with it."""
        operation = self._put(self._new(caller, description, metadata), resource)
        waits_for = WaitsFor(kind=kind_of(type(resource)), id=resource.id, goal=goal.value)
        self._store.note(operation.id, WAITS_FOR, waits_for)
        return operation

    def pending(self) -> dict[str, WaitsFor]:
        """Return what each operation that is not done waits for, by operation id."""
        return self._store.all_noted(WAITS_FOR)

    def held(self) -> dict[str, HeldOperation]:
        """Return the operations that are done, and are shown as under way."""
        return self._store.all_noted(HELD)

    def unfinished(self) -> frozenset[str]:
        """Return the ids of the operations that are not done, as a client sees it."""
        return frozenset({*self.pending(), *self.held()})

    def release(self) -> None:
        """Show those as done whose time has come."""
        for operation_id, held in self.held().items():
            if held["until"] <= now():
                operation = Operation.FromString(base64.b64decode(held["ended"]))
                clock.set_now(operation.modified_at)
                self._store.put(operation)
                self._store.forget(operation_id, HELD)

    def finish(self, operation_id: str, outcome: Message) -> None:
        """End a pending operation with its response, or with a google.rpc.Status as its error."""
        operation = self._store.must(Operation, operation_id)
        operation.done = True
        clock.set_now(operation.modified_at)
        if isinstance(outcome, Status):
            operation.error.CopyFrom(outcome)
        else:
            operation.response.Pack(outcome)
        with self._store.transaction():
            self._store.put(operation)
            self._store.expire(operation_id, now() + RETENTION)
            self._store.forget(operation_id, WAITS_FOR)

    def describe(self, resource_id: str, description: str) -> None:
        """Replace the description of what is under way with a resource."""
        for operation_id, waits_for in self.pending().items():
            if waits_for["id"] == resource_id:
                operation = self._store.must(Operation, operation_id)
                operation.description = description
                self._store.put(operation)

    def of_resource(self, resource_id: str) -> list[Operation]:
        """Return the operations on one resource, the newest first."""
        ids = self._store.ids_noted(RESOURCE, resource_id)
        operations = [self._store.must(Operation, operation_id) for operation_id in ids]
        return sorted(operations, key=lambda operation: operation.created_at.ToNanoseconds(), reverse=True)

    def _new(self, caller: Caller, description: str, metadata: Message) -> Operation:
        operation = Operation(id=new_id(ID_PREFIX), description=description, created_by=caller.subject)
        clock.set_now(operation.created_at)
        operation.modified_at.CopyFrom(operation.created_at)
        operation.metadata.Pack(metadata)
        return operation

    def _put(self, operation: Operation, resource: object) -> Operation:
        if operation.done:
            self._store.expire(operation.id, now() + RETENTION)
            self._hold(operation)
        self._store.put(operation)
        if resource_id := getattr(resource, "id", ""):
            self._store.note(operation.id, RESOURCE, resource_id)
        return operation

    def _hold(self, operation: Operation) -> None:
        """Make an operation one that is under way, and note how it will end, where it is to be held."""
        if seconds := self.hold():
            ended = base64.b64encode(operation.SerializeToString()).decode()
            self._store.note(operation.id, HELD, HeldOperation(until=now() + seconds, ended=ended))
            operation.done = False
            operation.ClearField("response")
            operation.ClearField("error")
