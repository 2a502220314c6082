"""Records what a cloud answers: each call, the course of each operation, and the states of each resource."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from google.protobuf.message import Message
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.certify.messages import fields_of, scrubbed, states_of, type_of
from samovar.cloud.calls import Attempt
from samovar.cloud.errors import STATUS, short_name

OK, RUNNING = "OK", "RUNNING"
"""The status of what succeeded, and of an operation whose end was not seen."""


@dataclass(frozen=True)
class Call:
    """One attempt of a call; `at` and `seconds` are seconds, `at` counts from the beginning of the programme."""

    step: str
    at: float
    method: str
    status: str
    seconds: float
    text: str = ""


@dataclass(frozen=True)
class OperationRecord:
    """An operation and its end. `seconds` are from its creation to its last change by the cloud's own clock."""

    step: str
    method: str
    description: str
    metadata: str
    response: str
    status: str
    seconds: int
    text: str = ""


@dataclass(frozen=True)
class Moment:
    """A state, and the second of the programme in which it was first seen."""

    at: float
    state: str


@dataclass(frozen=True)
class Sequence:
    """The states of one resource in one step, in their order. `subject` is its number among those of its kind."""

    step: str
    kind: str
    subject: int
    states: tuple[Moment, ...]


@dataclass(frozen=True)
class Recording:
    """All that was recorded. It holds no id, no address and no secret. `fields` are those set in answers, by method."""

    calls: tuple[Call, ...] = ()
    operations: tuple[OperationRecord, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Recorder:
    """Sees the calls of sessions, from any thread. `words` are those that may not stand in a recording."""

    def __init__(self, words: Collection[str] = ()) -> None:
        self.step = ""
        self._words = frozenset(words)
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._operations: dict[str, OperationRecord] = {}
        self._states: dict[tuple[str, str, str], list[Moment]] = {}
        self._fields: dict[str, set[str]] = {}

    @property
    def seconds(self) -> float:
        """The seconds since the beginning."""
        return round(time.monotonic() - self._began, 2)

    def observe(self, attempt: Attempt) -> None:
        """Record an attempt of a call of the programme."""
        method, error = short_name(attempt.method), attempt.error
        call = Call(
            self.step,
            round(max(0.0, self.seconds - attempt.seconds), 2),
            method,
            error.status.name if error else OK,
            round(attempt.seconds, 3),
            scrubbed(error.details, self._words) if error else "",
        )
        with self._lock:
            self._calls.append(call)
            if isinstance(attempt.response, Operation):
                self._operation(method, attempt.response)
        self.watch(attempt)

    def watch(self, attempt: Attempt) -> None:
        """Record the states and the fields in an answer, and not the call: the programme did not make it."""
        if attempt.response is None:
            return
        with self._lock:
            self._fields.setdefault(self._asked(attempt), set()).update(fields_of(attempt.response))
            self._see_states(attempt.response)

    def see(self, message: Message) -> None:
        """Record the states in a message that comes from elsewhere than an answer."""
        with self._lock:
            self._see_states(message)

    def recording(self) -> Recording:
        """Return what was recorded until now."""
        with self._lock:
            return Recording(
                tuple(self._calls),
                tuple(self._operations.values()),
                self._sequences(),
                {method: tuple(sorted(paths)) for method, paths in sorted(self._fields.items())},
            )

    def _asked(self, attempt: Attempt) -> str:
        """Return the method of an answer; for a poll, the method that started the operation."""
        operation = attempt.response if isinstance(attempt.response, Operation) else None
        record = self._operations.get(operation.id) if operation else None
        return record.method if record else short_name(attempt.method)

    def _operation(self, method: str, operation: Operation) -> None:
        before = self._operations.get(operation.id)
        record = OperationRecord(
            before.step if before else self.step,
            before.method if before else method,
            scrubbed(operation.description, self._words),
            type_of(operation.metadata),
            type_of(operation.response),
            _status(operation),
            operation.modified_at.seconds - operation.created_at.seconds,
            scrubbed(operation.error.message, self._words),
        )
        self._operations[operation.id] = replace(record, seconds=max(0, record.seconds))

    def _see_states(self, message: Message) -> None:
        for kind, subject, state in states_of(message):
            moments = self._states.setdefault((self.step, kind, subject), [])
            if not moments or moments[-1].state != state:
                moments.append(Moment(self.seconds, state))

    def _sequences(self) -> tuple[Sequence, ...]:
        numbers: dict[str, dict[str, int]] = {}
        for _, kind, subject in self._states:
            of_kind = numbers.setdefault(kind, {})
            of_kind.setdefault(subject, len(of_kind) + 1)
        return tuple(
            Sequence(step, kind, numbers[kind][subject], tuple(moments))
            for (step, kind, subject), moments in self._states.items()
        )


def _status(operation: Operation) -> str:
    """Return the end of an operation: RUNNING, OK, or the code of its error."""
    if not operation.done:
        return RUNNING
    if not operation.HasField("error"):
        return OK
    status = STATUS.get(operation.error.code)
    return status.name if status else str(operation.error.code)
