"""The gRPC form of the API, over TLS: one generic handler for every method of every service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc.code_pb2 import Code

from samovar.localcloud.api.errors import Refused, invalid, status_of, unimplemented
from samovar.localcloud.api.pipeline import PUBLIC_SIZE, Api, Call, is_public, request_class, response_class
from samovar.localcloud.api.pki import Pki
from samovar.localcloud.sockets import connections

CODES = {code.value[0]: code for code in grpc.StatusCode}
MAX_MESSAGE = 4 * 1024 * 1024
"""As much as a client of gRPC takes by default."""
OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.so_reuseport", 0),
    ("grpc.server_handshake_timeout_ms", 5_000),
    ("grpc.max_connection_idle_ms", 300_000),
)


class GrpcForm(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs alone
    """Finds the method by its path and carries the call to the pipeline."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        """Who may not call is told so before the request is read."""
        method = self._api.methods.get(details.method)
        if method is None:
            return _refusing(unimplemented(details.method.lstrip("/")))
        metadata = dict(details.invocation_metadata or ())
        token, key = _bearer(metadata), str(metadata.get("idempotency-key", ""))
        try:
            self._api.admit(method, token, key)
        except Refused as refused:
            return _refusing(refused)

        async def behavior(sent: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
            try:
                return self._api.call(Call(method, _parsed(method, sent), token, key))
            except Refused as refused:
                await _abort(context, refused)

        return grpc.unary_unary_rpc_method_handler(
            behavior, response_serializer=response_class(method).SerializeToString
        )


def _parsed(method: MethodDescriptor, sent: bytes) -> Message:
    if is_public(method) and len(sent) > PUBLIC_SIZE:
        raise Refused(Code.RESOURCE_EXHAUSTED, f"The request has {len(sent)} bytes, {PUBLIC_SIZE} are taken")
    try:
        return request_class(method).FromString(sent)
    except DecodeError as error:
        raise invalid(f"the request is not understood: {error}") from error


async def serve_grpc(api: Api, pki: Pki, address: str) -> grpc.aio.Server:
    """Starts to serve on `address` (host:port)."""
    server = grpc.aio.server(options=(*OPTIONS, ("grpc.max_allowed_incoming_connections", connections.share())))
    server.add_generic_rpc_handlers((GrpcForm(api),))
    credentials = grpc.ssl_server_credentials([(pki.key.read_bytes(), pki.certificate.read_bytes())])
    server.add_secure_port(address, credentials)
    await server.start()
    return server


def _refusing(refused: Refused) -> grpc.RpcMethodHandler[Any, Any]:
    """Answers without reading what was sent: the form for a stream of requests leaves that to the handler."""

    async def behavior(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await _abort(context, refused)

    return grpc.stream_unary_rpc_method_handler(behavior)


async def _abort(context: grpc.aio.ServicerContext[Any, Any], refused: Refused) -> NoReturn:
    context.set_trailing_metadata((("grpc-status-details-bin", status_of(refused).SerializeToString()),))
    await context.abort(CODES[refused.code], refused.message)


def _bearer(metadata: dict[str, str | bytes]) -> str:
    scheme, _, token = str(metadata.get("authorization", "")).partition(" ")
    return token if scheme.lower() == "bearer" else ""
