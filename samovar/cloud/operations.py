"""Our own waiter of operations: the SDK's reports a missed deadline as a success, and drops the status code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import grpc
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.errors import STATUS, CallFailed, OperationFailed
from samovar.core.waiting import Pending, wait_for

TIMEOUT = 180.0
TOLERATED = 5
PASSING = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE})


@dataclass(frozen=True)
class Polled:
    """An operation as last seen, and the seconds after which the cloud wants to be asked again, if it says so."""

    operation: Operation
    interval: float | None = None


Poll = Callable[[str], Polled]


def finished(operation: Operation, poll: Poll, *, what: str, timeout: float = TIMEOUT) -> Operation:
    """The operation once it is done and well; polls at once, then as the cloud says or from 0.05 s growing to 1 s.

    Raises OperationFailed with the status code, or WaitTimeout with what was last seen. An operation that is not found
    yet and a cloud that does not answer are tolerated `TOLERATED` times in a row.
    """
    seen = operation
    troubles = 0

    def probe() -> Operation | Pending:
        nonlocal seen, troubles
        if seen.done:
            return seen
        try:
            polled = poll(operation.id)
        except CallFailed as error:
            troubles += 1
            if error.status not in PASSING or troubles > TOLERATED:
                raise
            return Pending(error.message)
        seen, troubles = polled.operation, 0
        return seen if seen.done else Pending(_progress(seen), after=polled.interval)

    done = wait_for(
        f"{what} (operation {operation.id})",
        probe,
        timeout=timeout,
        interval=0.05,
        remedy="the operation may still end well: run the command again, it goes on from what is there",
    )
    if done.HasField("error"):
        status = STATUS.get(done.error.code, grpc.StatusCode.UNKNOWN)
        raise OperationFailed(what, done.id, status, done.error.message)
    return done


def _progress(operation: Operation) -> str:
    return f"in progress: {operation.description or 'no description'}"
