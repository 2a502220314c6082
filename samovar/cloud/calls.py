"""The calls of a session: the interceptor that each passes, and the wait for the operations that they start.

The SDK's own waiter reports a missed deadline as a success, and drops the status code.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import grpc
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.errors import STATUS, CallFailed, OperationFailed, call_failed, short_name
from samovar.core.waiting import Pending, wait_for

DEADLINE = 60.0
ATTEMPTS = 4
READING = ("Get", "List")


class _Details(NamedTuple):
    """The fields of grpc.ClientCallDetails, which says nothing on how to make one."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


class CallInterceptor(grpc.UnaryUnaryClientInterceptor):  # type: ignore[type-arg] # generic for type checkers alone
    """Gives calls `DEADLINE` seconds, repeats those that reached no server, and turns failures into CallFailed.

    A mutating call carries an idempotency key, the same in each attempt, so that it never creates a thing twice.
    An error of one of `checks` ends a call before it is made.
    """

    def __init__(self) -> None:
        self.checks: list[Callable[[], None]] = []

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        for check in tuple(self.checks):
            check()
        details = _prepared(client_call_details)
        retrying = Retrying(
            retry=retry_if_exception(_reached_no_server),
            wait=wait_exponential(multiplier=0.1),
            stop=stop_after_attempt(ATTEMPTS),
            reraise=True,
        )
        return retrying(_once, continuation, details, request)


def _once(continuation: Callable[..., Any], details: _Details, request: Any) -> Any:
    outcome = continuation(details, request)
    if isinstance(outcome, grpc.RpcError):
        raise call_failed(short_name(details.method), outcome) from outcome
    return outcome


def _reached_no_server(error: BaseException) -> bool:
    return isinstance(error, CallFailed) and error.status is grpc.StatusCode.UNAVAILABLE


def _prepared(given: Any) -> _Details:
    metadata = list(given.metadata or ())
    if not given.method.rpartition("/")[2].startswith(READING):
        metadata.append(("idempotency-key", str(uuid.uuid4())))
    return _Details(
        given.method, given.timeout or DEADLINE, metadata, given.credentials, given.wait_for_ready, given.compression
    )


TIMEOUT = 180.0
TOLERATED = 5
TRANSIENT = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE})


@dataclass(frozen=True)
class Polled:
    """The latest state of an operation, and the seconds after which the cloud wants the next poll, if it says so."""

    operation: Operation
    interval: float | None = None


Poll = Callable[[str], Polled]


def wait_for_operation(operation: Operation, poll: Poll, *, what: str, timeout: float = TIMEOUT) -> Operation:
    """Return the operation when it has succeeded. Polls at once, then as the cloud asks, or from 0.05 s growing to 1 s.

    Raises OperationFailed with the status code, or WaitTimeout with the last state. An operation that does not exist
    yet, and a cloud that does not answer, are tolerated `TOLERATED` times in a row.
    """
    latest = operation
    failures = 0

    def probe() -> Operation | Pending:
        nonlocal latest, failures
        if latest.done:
            return latest
        try:
            polled = poll(operation.id)
        except CallFailed as error:
            failures += 1
            if error.status not in TRANSIENT or failures > TOLERATED:
                raise
            return Pending(error.message)
        latest, failures = polled.operation, 0
        return latest if latest.done else Pending(_progress(latest), after=polled.interval)

    done = wait_for(
        f"{what} (operation {operation.id})",
        probe,
        timeout=timeout,
        interval=0.05,
        remedy="the operation may still succeed: run the command again, and it goes on from there",
    )
    if done.HasField("error"):
        status = STATUS.get(done.error.code, grpc.StatusCode.UNKNOWN)
        raise OperationFailed(what, done.id, status, done.error.message)
    return done


def _progress(operation: Operation) -> str:
    return f"in progress: {operation.description or 'no description'}"
