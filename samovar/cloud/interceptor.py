"""What every call passes on its way out and back: a deadline, a key that makes repeating safe, errors as ours."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from samovar.cloud.errors import CallFailed, call_failed, short

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


class Gate(grpc.UnaryUnaryClientInterceptor):  # type: ignore[type-arg] # generic for type checkers alone
    """Gives calls `DEADLINE` seconds, repeats what met no server, and turns failures into CallFailed.

    A changing call carries an idempotency key, the same in each attempt, so that it never makes a thing twice.
    What `checks` raise ends a call before it is made.
    """

    def __init__(self) -> None:
        self.checks: list[Callable[[], None]] = []

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        for check in tuple(self.checks):
            check()
        details = _prepared(client_call_details)
        retrying = Retrying(
            retry=retry_if_exception(_met_no_server),
            wait=wait_exponential(multiplier=0.1),
            stop=stop_after_attempt(ATTEMPTS),
            reraise=True,
        )
        return retrying(_once, continuation, details, request)


def _once(continuation: Callable[..., Any], details: _Details, request: Any) -> Any:
    outcome = continuation(details, request)
    if isinstance(outcome, grpc.RpcError):
        raise call_failed(short(details.method), outcome) from outcome
    return outcome


def _met_no_server(error: BaseException) -> bool:
    return isinstance(error, CallFailed) and error.status is grpc.StatusCode.UNAVAILABLE


def _prepared(given: Any) -> _Details:
    metadata = list(given.metadata or ())
    if not given.method.rpartition("/")[2].startswith(READING):
        metadata.append(("idempotency-key", str(uuid.uuid4())))
    return _Details(
        given.method, given.timeout or DEADLINE, metadata, given.credentials, given.wait_for_ready, given.compression
    )
