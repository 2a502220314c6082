"""The gRPC form of the API, over TLS: one generic handler for every method of every service."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf.message import Message

from samovar.localcloud import descriptors
from samovar.localcloud.api.errors import Refused, status_of, unimplemented
from samovar.localcloud.api.pipeline import Api, Call, request_class, response_class
from samovar.localcloud.api.pki import Pki

CODES = {code.value[0]: code for code in grpc.StatusCode}
MAX_MESSAGE = 16 * 1024 * 1024
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

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Message, Message]:
        method = self._api.methods.get(details.method)
        if method is None:
            return _not_served(details.method)
        metadata = dict(details.invocation_metadata or ())

        async def behavior(request: Message, context: grpc.aio.ServicerContext[Message, Message]) -> Message:
            call = Call(method, request, _bearer(metadata), str(metadata.get("idempotency-key", "")))
            try:
                return self._api.call(call)
            except Refused as refused:
                context.set_trailing_metadata((("grpc-status-details-bin", status_of(refused).SerializeToString()),))
                await context.abort(CODES[refused.code], refused.message)

        return grpc.unary_unary_rpc_method_handler(
            behavior,
            request_deserializer=request_class(method).FromString,
            response_serializer=response_class(method).SerializeToString,
        )


async def serve_grpc(api: Api, pki: Pki, address: str) -> grpc.aio.Server:
    """Starts to serve on `address` (host:port)."""
    server = grpc.aio.server(options=(*OPTIONS, ("grpc.max_allowed_incoming_connections", descriptors.share())))
    server.add_generic_rpc_handlers((GrpcForm(api),))
    credentials = grpc.ssl_server_credentials([(pki.key.read_bytes(), pki.certificate.read_bytes())])
    server.add_secure_port(address, credentials)
    await server.start()
    return server


def _not_served(path: str) -> grpc.RpcMethodHandler[Message, Message]:
    async def behavior(_: Message, context: grpc.aio.ServicerContext[Message, Message]) -> None:
        refused = unimplemented(path.lstrip("/"))
        await context.abort(CODES[refused.code], refused.message)

    return grpc.unary_unary_rpc_method_handler(behavior)


def _bearer(metadata: dict[str, str | bytes]) -> str:
    scheme, _, token = str(metadata.get("authorization", "")).partition(" ")
    return token if scheme.lower() == "bearer" else ""
