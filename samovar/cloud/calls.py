"""The calls of a session: the interceptor that each passes, and the wait for the operations that they start.

The SDK's own waiter reports a missed deadline as a success, and drops the status code.
"""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import grpc
from google.protobuf.message import Message
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.errors import (
    STATUS,
    CallFailed,
    OperationFailed,
    binds_roles,
    call_failed,
    repeat_for,
    short_name,
)
from samovar.core.api_methods import is_read
from samovar.core.waiting import Pending, wait_for

DEADLINE = 60.0
MAX_PAUSE = 5.0
"""Seconds between two attempts of a call, or two polls of an operation, at most."""


@dataclass(frozen=True)
class _Details(grpc.ClientCallDetails):
    """The fields of grpc.ClientCallDetails, which says nothing on how to make one."""

    method: str
    timeout: float | None
    metadata: tuple[tuple[str, str | bytes], ...]
    credentials: grpc.CallCredentials | None
    wait_for_ready: bool | None
    compression: grpc.Compression | None


Outcome: TypeAlias = "grpc.CallFuture[Message]"
Continuation = Callable[[grpc.ClientCallDetails, Message], Outcome]


@dataclass(frozen=True)
class Attempt:
    """One attempt of a call, by its full method: the response or the error, and the seconds that it took."""

    method: str
    response: Message | None
    error: CallFailed | None
    seconds: float


class CallInterceptor(grpc.UnaryUnaryClientInterceptor):  # type: ignore[type-arg] # generic for type checkers alone
    """Gives calls `DEADLINE` seconds, repeats what passes by itself, and turns failures into CallFailed.

    A mutating call carries an idempotency key, the same in each attempt, so that it never creates a thing twice.
    An error of one of `checks` ends a call before its next attempt, for minutes may lie between two of them, and
    `observers` see every attempt. `unreached` are the seconds for which a call that reached no server is repeated.
    """

    def __init__(self, unreached: float) -> None:
        self._unreached = unreached
        self.checks: list[Callable[[], None]] = []
        self.observers: list[Callable[[Attempt], None]] = []
        self._bound_at = -math.inf

    def intercept_unary_unary(
        self, continuation: Continuation, client_call_details: grpc.ClientCallDetails, request: Message
    ) -> Outcome:
        details = _prepared(client_call_details)
        retrying = Retrying(
            retry=retry_if_exception_type(CallFailed),
            wait=wait_exponential_jitter(multiplier=0.1, max=MAX_PAUSE, jitter=0.1),
            stop=self._is_final,
            reraise=True,
        )
        outcome = retrying(self._once, continuation, details, request)
        if binds_roles(details.method):
            self._bound_at = time.monotonic()
        return outcome

    def _is_final(self, state: RetryCallState) -> bool:
        error = state.outcome and state.outcome.exception()
        if not isinstance(error, CallFailed):
            return True
        since_binding = time.monotonic() - self._bound_at
        limit = repeat_for(
            error.method, error.status, error.details, since_binding=since_binding, unreached=self._unreached
        )
        return (state.seconds_since_start or 0.0) + state.upcoming_sleep > limit

    def _once(self, continuation: Continuation, details: _Details, request: Message) -> Outcome:
        for check in tuple(self.checks):
            check()
        began = time.monotonic()
        outcome = continuation(details, request)
        error = _failure(details.method, outcome)
        for observe in tuple(self.observers):
            response = None if error else outcome.result()
            observe(Attempt(details.method, response, error, time.monotonic() - began))
        if error:
            raise error
        return outcome


def _failure(method: str, outcome: object) -> CallFailed | None:
    """GRPC's error is a call as well; it is the cause of ours."""
    if not isinstance(outcome, grpc.RpcError):
        return None
    error = call_failed(short_name(method), outcome)
    error.__cause__ = outcome
    return error


def _prepared(given: grpc.ClientCallDetails) -> _Details:
    metadata = given.metadata or ()
    if not is_read(given.method):
        metadata = (*metadata, ("idempotency-key", str(uuid.uuid4())))
    return _Details(
        given.method, given.timeout or DEADLINE, metadata, given.credentials, given.wait_for_ready, given.compression
    )


TOLERATED = 5
MIN_POLL, POLL_SHARE = 0.05, 0.2
"""Seconds between two polls at least, and their share of the time that the operation has taken."""
TRANSIENT = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE})


@dataclass(frozen=True)
class Polled:
    """The latest state of an operation, and the seconds after which the cloud wants the next poll, if it says so."""

    operation: Operation
    interval: float | None = None


Poll = Callable[[str], Polled]


def wait_for_operation(operation: Operation, poll: Poll, *, what: str, timeout: float) -> Operation:
    """Return the operation when it has succeeded. Polls at once, then as the cloud asks, or ever less often.

    Raises OperationFailed with the status code, or WaitTimeout with the last state. An operation that does not exist
    yet, and a cloud that does not answer, are tolerated `TOLERATED` times in a row.
    """
    latest = operation
    failures = 0
    began = time.monotonic()

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
        return latest if latest.done else Pending(_progress(latest), after=polled.interval or pause())

    def pause() -> float:
        return min(max((time.monotonic() - began) * POLL_SHARE, MIN_POLL), MAX_PAUSE)

    done = wait_for(
        f"the end of {what} (operation {operation.id})",
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
