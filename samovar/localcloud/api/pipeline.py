"""Every call passes here, over gRPC or REST: authentication, roles, constraints, one transaction, the answer.

A service is a plain object whose methods have the names of its RPCs; a method takes the request and the caller and
returns the response message, or raises Refused. What a service does not have answers UNIMPLEMENTED.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypedDict

import structlog
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from yandex.cloud.iam.v1.key_pb2 import Key
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.audit_log import AuditLog, Event
from samovar.localcloud.api.constraints import check_constraints
from samovar.localcloud.api.errors import Refused, unimplemented
from samovar.localcloud.api.tokens import Tokens
from samovar.localcloud.api.unserved import check_served
from samovar.localcloud.clock import now
from samovar.localcloud.sockets.listener import LimitedLog
from samovar.localcloud.store.store import NoteKey, Store, is_full

log = structlog.get_logger(__name__)


class FirstCall(TypedDict):
    """The operation that the first call with an idempotency key was answered with, and the digest of its request."""

    id: str
    request: str


IDEMPOTENCY = NoteKey[FirstCall]("operation")
KEY_RETENTION = 86400.0
"""Seconds for which an idempotency key is known."""
REQUEST_ID, CLIENT_REQUEST_ID = "x-request-id", "x-client-request-id"
"""The headers in which an answer and a request name their ids."""
PUBLIC_SIZE = 64 << 10
"""Bytes that a request without a token may have."""
NO_SPACE = "No space is left on the disk of the local cloud's home: free some, and call again"


@dataclass(frozen=True)
class Caller:
    """The caller is the id of a service account, or `operator`; empty where the method is public.

    `host` is the Host header of a caller over REST; empty for one over gRPC.
    """

    subject: str
    host: str = ""


@dataclass(frozen=True)
class Call:
    """One call, over gRPC or REST. `request_id` is ours, `client_request_id` the caller's."""

    method: MethodDescriptor
    request: Message
    token: str = ""
    idempotency_key: str = ""
    host: str = ""
    client_request_id: str = ""
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


Handler = Callable[[Message, Caller], Message]
Proceed = Callable[[], Awaitable[Message]]
"""Carries a call out, and returns its response or raises Refused."""
Interceptor = Callable[[Call, Proceed], Awaitable[Message]]
"""Stands between a client and a call, which it may delay, refuse, or answer otherwise."""


class Authorization(Protocol):
    """Refuses who may not call, by raising PERMISSION_DENIED."""

    def check(self, caller: Caller, method: MethodDescriptor) -> None: ...

    def check_operator(self, caller: Caller) -> None: ...


class Api:
    """All services by their full names, and the one way through which they are called."""

    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        authorizer: Authorization,
        services: Mapping[ServiceDescriptor, object],
        *,
        public: Iterable[str] = (),
        audit_log: AuditLog | None = None,
    ) -> None:
        """`public` are the full names of the services that take no token."""
        self._store = store
        self._audit_log = audit_log
        self.interceptors: list[Interceptor] = []
        self._anonymous = LimitedLog(period=60.0)
        self._tokens = tokens
        self._authorizer = authorizer
        self._public = frozenset(public)
        self._services = {descriptor.full_name: service for descriptor, service in services.items()}
        self.methods = {
            f"/{descriptor.full_name}/{method.name}": method for descriptor in services for method in descriptor.methods
        }

    def serves(self, method: MethodDescriptor) -> bool:
        return self._implementation(method) is not None

    def admit(self, call: Call) -> None:
        """Raise Refused unless the bearer may call the method. Asked before anything that was sent is read."""
        try:
            self._authenticate(call)
        except Refused as refused:
            self._log_refusal(call.method, call.token, refused)
            self._note(call, refused)
            raise

    def call(self, call: Call) -> Message:
        """Return the response or raise Refused. A defect is logged with its trace and answered with INTERNAL."""
        with self._recorded(call):
            return self._answer(call)

    async def serve(self, call: Call) -> Message:
        """Return the same by way of the interceptors, the first of `interceptors` outermost."""
        with self._recorded(call):
            return await self._through(call, tuple(self.interceptors))

    async def _through(self, call: Call, interceptors: Sequence[Interceptor]) -> Message:
        if not interceptors:
            return self._answer(call)
        return await interceptors[0](call, partial(self._through, call, interceptors[1:]))

    @contextmanager
    def _recorded(self, call: Call) -> Iterator[None]:
        try:
            yield
        except Refused as refused:
            self._note(call, refused)
            raise
        self._note(call)

    def _note(self, call: Call, refused: Refused | None = None) -> None:
        """Write to the audit log, but for callers without a token, so that they cannot flush it."""
        if self._audit_log and (subject := self._tokens.subject(call.token)):
            event = Event(
                time=round(now(), 3),
                method=call.method.full_name,
                subject=subject,
                code=Code.Name(refused.code if refused else Code.OK),
                request_id=call.request_id,
                client_request_id=call.client_request_id,
                idempotency_key=call.idempotency_key,
                message=refused.message if refused else "",
            )
            self._audit_log.note(event)

    def _log_refusal(self, method: MethodDescriptor, token: str, refused: Refused) -> None:
        """Log a refusal; of those without a token one a minute is logged, and the others are counted."""
        facts = {"method": method.full_name, "code": Code.Name(refused.code), "reason": refused.message}
        if self._tokens.subject(token):
            log.info("refused", **facts)
        else:
            self._anonymous.warning("refused without a token", **facts)

    def _answer(self, call: Call) -> Message:
        name = call.method.full_name
        try:
            caller = self._authenticate(call)
            handler = self._handler(call.method)
            check_constraints(call.request)
            check_served(call.request)
            with self._store.transaction():
                return self._once(call, caller, handler)
        except Refused as refused:
            self._log_refusal(call.method, call.token, refused)
            raise
        except Exception as error:
            if is_full(error):
                log.warning("no space left", method=name)
                raise Refused(Code.RESOURCE_EXHAUSTED, NO_SPACE) from error
            log.exception("defect", method=name)
            raise Refused(Code.INTERNAL, f"{name} failed: {type(error).__name__}; see the daemon's log") from error

    def check_operator(self, token: str) -> None:
        """Raise Refused unless the token is the operator's; for requests that are no calls of the API."""
        self._authorizer.check_operator(Caller(self._subject(token)))

    def _authenticate(self, call: Call) -> Caller:
        if self.is_public(call.method):
            return Caller("", call.host)
        caller = Caller(self._subject(call.token), call.host)
        self._authorizer.check(caller, call.method)
        return caller

    def is_public(self, method: MethodDescriptor) -> bool:
        """Return whether a method may be called without a token."""
        return method.containing_service.full_name in self._public

    def _subject(self, token: str) -> str:
        if not token:
            raise Refused(Code.UNAUTHENTICATED, "no IAM token; send it as `authorization: Bearer <token>`")
        subject = self._tokens.subject(token)
        if subject is None:
            raise Refused(Code.UNAUTHENTICATED, "The token is invalid or has expired")
        if (key := self._tokens.key(token)) and self._store.get(Key, key) is None:
            raise Refused(Code.UNAUTHENTICATED, f"The token has ended with the key {key}, which was deleted")
        return subject

    def _handler(self, method: MethodDescriptor) -> Handler:
        handler = self._implementation(method)
        if handler is None:
            raise unimplemented(method.full_name)
        return handler

    def _implementation(self, method: MethodDescriptor) -> Handler | None:
        service = self._services[method.containing_service.full_name]
        handler: Handler | None = getattr(service, method.name, None)
        return handler

    def _once(self, call: Call, caller: Caller, handler: Handler) -> Message:
        """Call the handler once for each idempotency key; a repeated call gets the operation of the first one."""
        if not call.idempotency_key:
            return handler(call.request, caller)
        key = idempotency_id(call, caller.subject)
        fingerprint = hashlib.sha256(call.request.SerializeToString(deterministic=True)).hexdigest()
        earlier = self._store.noted(key, IDEMPOTENCY)
        if earlier is None:
            response = handler(call.request, caller)
            if isinstance(response, Operation):
                self._store.note(key, IDEMPOTENCY, FirstCall(id=response.id, request=fingerprint))
                self._store.expire(key, now() + KEY_RETENTION)
            return response
        if earlier["request"] != fingerprint:
            raise Refused(Code.INVALID_ARGUMENT, "the idempotency key was used for another request")
        return self._store.must(Operation, earlier["id"])


def idempotency_id(call: Call, subject: str) -> str:
    """Return the id under which the store notes the first call with an idempotency key; `subject` is who calls."""
    return f"idempotency/{subject}/{call.method.full_name}/{call.idempotency_key}"


def request_class(method: MethodDescriptor) -> type[Message]:
    """Return the class of a method's request."""
    return message_factory.GetMessageClass(method.input_type)


def response_class(method: MethodDescriptor) -> type[Message]:
    """Return the class of a method's response."""
    return message_factory.GetMessageClass(method.output_type)
