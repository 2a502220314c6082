"""Serves the API over gRPC and TLS: one generic handler for every method of every service."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import NoReturn, TypeAlias

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc.code_pb2 import Code

from samovar.localcloud import clock
from samovar.localcloud.api.errors import Refused, invalid, status_of, unimplemented
from samovar.localcloud.api.pipeline import (
    CLIENT_REQUEST_ID,
    PUBLIC_SIZE,
    REQUEST_ID,
    Api,
    Call,
    request_class,
    response_class,
)
from samovar.localcloud.api.pki import Pki
from samovar.localcloud.api.tokens import bearer
from samovar.localcloud.sockets import connections
from samovar.localcloud.sockets.connections import BY_USER, ROOT, Address, source_of
from samovar.localcloud.sockets.listener import LimitedLog

CODES = {code.value[0]: code for code in grpc.StatusCode}
MAX_MESSAGE = 4 * 1024 * 1024
"""As much as a client of gRPC takes by default."""
LARGEST_TEXT = 1200
"""Bytes of an error's message, and of the fields that it names. A client of gRPC takes 8 KiB of headers by default;
the message is in them twice, once with three letters for each byte that is no ASCII."""
OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.so_reuseport", 0),
    ("grpc.server_handshake_timeout_ms", 5_000),
    ("grpc.max_connection_idle_ms", 300_000),
)
TRIM_PERIOD = 0.5
INTERNET = frozenset({socket.AF_INET, socket.AF_INET6})
RpcContext: TypeAlias = "grpc.aio.ServicerContext[bytes, Message]"
RpcHandler: TypeAlias = "grpc.RpcMethodHandler[bytes, Message]"
DESCRIPTORS = Path("/proc/self/fd")


class GrpcForm(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs alone
    """Finds the method by its path and carries the call to the pipeline."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def service(self, details: grpc.HandlerCallDetails) -> RpcHandler:
        """Return the handler of a call; one that is not allowed is refused before its request is read."""
        method = self._api.methods.get(details.method)
        if method is None:
            return _refusing(unimplemented(details.method.lstrip("/")))
        call = _call(method, dict(details.invocation_metadata or ()))
        try:
            self._api.admit(call)
        except Refused as refused:
            return _refusing(refused, call)

        async def behavior(sent: bytes, context: RpcContext) -> Message:
            await context.send_initial_metadata(_headers(call))
            try:
                return await self._api.serve(replace(call, request=self._parsed(method, sent)))
            except Refused as refused:
                await _abort(context, refused)

        return grpc.unary_unary_rpc_method_handler(
            behavior, response_serializer=response_class(method).SerializeToString
        )

    def _parsed(self, method: MethodDescriptor, sent: bytes) -> Message:
        if self._api.is_public(method) and len(sent) > PUBLIC_SIZE:
            raise Refused(Code.RESOURCE_EXHAUSTED, f"The request has {len(sent)} bytes, {PUBLIC_SIZE} are taken")
        try:
            return request_class(method).FromString(sent)
        except DecodeError as error:
            raise invalid(f"the request is not understood: {error}") from error


async def serve_grpc(api: Api, pki: Pki, address: str) -> grpc.aio.Server:
    """Start to serve on `address` (host:port)."""
    server = grpc.aio.server(options=(*OPTIONS, ("grpc.max_allowed_incoming_connections", connections.share())))
    server.add_generic_rpc_handlers((GrpcForm(api),))
    credentials = grpc.ssl_server_credentials([(pki.key.read_bytes(), pki.certificate.read_bytes())])
    server.add_secure_port(address, credentials)
    await server.start()
    return server


def _call(method: MethodDescriptor, metadata: dict[str, str | bytes]) -> Call:
    """Return a call by what came before its request."""
    return Call(
        method,
        request_class(method)(),
        bearer(str(metadata.get("authorization", ""))),
        str(metadata.get("idempotency-key", "")),
        client_request_id=str(metadata.get(CLIENT_REQUEST_ID, "")),
    )


def _headers(call: Call) -> tuple[tuple[str, str], ...]:
    """Return the headers of an answer. The Go SDK puts the request's id into its errors (go-sdk, pkg/requestid)."""
    return ((REQUEST_ID, call.request_id),)


def _refusing(refused: Refused, call: Call | None = None) -> RpcHandler:
    """Return a handler that refuses without reading: a stream of requests is read by its handler alone."""

    async def behavior(_: object, context: RpcContext) -> None:
        if call:
            await context.send_initial_metadata(_headers(call))
        await _abort(context, refused)

    return grpc.stream_unary_rpc_method_handler(behavior)


async def _abort(context: RpcContext, refused: Refused) -> NoReturn:
    sent = bounded(refused)
    context.set_trailing_metadata((("grpc-status-details-bin", status_of(sent).SerializeToString()),))
    await context.abort(CODES[sent.code], sent.message)


def bounded(refused: Refused) -> Refused:
    """Return an error that a client takes: what is too long for the headers of an answer is left out."""
    text = refused.message.encode()
    message = refused.message if len(text) <= LARGEST_TEXT else f"{text[:LARGEST_TEXT].decode(errors='ignore')} ..."
    sizes = accumulate(len(f"{each.field}{each.description}".encode()) for each in refused.violations)
    named = [each for each, size in zip(refused.violations, sizes, strict=True) if size <= LARGEST_TEXT]
    return Refused(refused.code, message, tuple(named))


def _plain_address(address: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    """Return an address in the form of IPv4: gRPC's sockets are of IPv6, where 127.0.0.1 is ::ffff:127.0.0.1."""
    return address[0].removeprefix("::ffff:"), address[1]


def _descriptors() -> list[int]:
    """Return the descriptors of this process, the oldest first."""
    return sorted(int(path.name) for path in DESCRIPTORS.iterdir())


class GrpcConnections:
    """Bounds the connections to `address` for each user of the host. gRPC bounds them in total and in time.

    gRPC accepts connections in threads of its own. So the daemon looks at its own descriptors now and then, and
    shuts down the newest connections of a user who has more than a share.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._log = LimitedLog()

    async def run(self) -> None:
        """Look until it is cancelled. Fewer descriptors than a user's share hold no more connections than that."""
        while True:
            await asyncio.sleep(clock.of_host(TRIM_PERIOD))
            with suppress(OSError):
                if len(_descriptors()) > BY_USER:
                    await asyncio.to_thread(self.trim)

    def trim(self) -> None:
        """Shut down what is above a user's share."""
        held: defaultdict[str, list[int]] = defaultdict(list)
        for number in _descriptors():
            if source := self._source(number):
                held[source].append(number)
        for source, numbers in held.items():
            if source != ROOT and len(numbers) > BY_USER:
                self._log.warning("too many connections", source=source, held=len(numbers))
                for number in numbers[BY_USER:]:
                    self._shut_down(number)

    def _source(self, number: int) -> str | None:
        """Return the source of a connection; None for a descriptor that is no connection to our address."""
        with suppress(OSError), self._connection(number) as connection:
            return source_of(self._address, _plain_address(connection.getpeername())).name
        return None

    def _shut_down(self, number: int) -> None:
        with suppress(OSError), self._connection(number) as connection:
            connection.shutdown(socket.SHUT_RDWR)

    def _connection(self, number: int) -> socket.socket:
        """Return a duplicate that no other thread closes. Raises OSError where it is no connection to our address."""
        double = os.dup(number)
        try:
            connection = socket.socket(fileno=double)
        except OSError:
            os.close(double)
            raise
        if connection.family not in INTERNET or _plain_address(connection.getsockname()) != self._address:
            connection.close()
            raise OSError("another socket")
        return connection
