"""The REST form of the API: every RPC, transcoded from its `google.api.http` option, through the same pipeline.

Names are in camelCase, as protobuf's JSON form has them; what comes in may also have the names of the protos.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeAlias

from aiohttp import web
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code

from samovar.core.json_types import Json, JsonObject
from samovar.localcloud import clock
from samovar.localcloud.api.errors import Refused, invalid, status_of, unimplemented
from samovar.localcloud.api.pipeline import CLIENT_REQUEST_ID, PUBLIC_SIZE, REQUEST_ID, Api, Call, request_class
from samovar.localcloud.api.routes import Match, Table
from samovar.localcloud.api.tokens import bearer

HTTP_STATUS: dict[int, int] = {
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.UNAUTHENTICATED: 401,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
}
"""As google/rpc/code.proto maps them; all others are 500."""


_Query: TypeAlias = "dict[str, _Query | list[str | bool] | str | bool]"
"""What a query says, in the JSON form of a message."""
BODY_TIMEOUT = 10.0
"""Seconds in which all of a body must have come from a caller without a token."""


class RestForm:
    """One handler for every path that no other route has."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._table = Table(api.methods.values())

    def routes(self) -> list[web.RouteDef]:
        """Return the route, which matches every path: it is to be added last."""
        return [web.route("*", "/{path:.*}", self._handle)]

    async def _handle(self, request: web.Request) -> web.Response:
        """Read the body once the caller is authenticated, and parse it beside the loop where that takes long."""
        try:
            match = self._match(request)
            call = _call(match.binding.method, request)
        except Refused as refused:
            return refusal(refused)
        try:
            response = web.json_response(_plain(await self._answer(request, match, call)))
        except Refused as refused:
            response = refusal(refused)
        response.headers[REQUEST_ID] = call.request_id
        return response

    async def _answer(self, request: web.Request, match: Match, call: Call) -> Message:
        self._api.admit(call)
        body = await (_short_body(request) if self._api.is_public(call.method) else request.read())
        query = tuple(request.query.items())
        in_thread = len(body) > PUBLIC_SIZE
        message = await asyncio.to_thread(transcode, match, query, body) if in_thread else transcode(match, query, body)
        return await self._api.serve(replace(call, request=message))

    def _match(self, request: web.Request) -> Match:
        path = request.rel_url.raw_path
        match = self._table.find(request.method, path)
        if match is None:
            raise unimplemented(f"{request.method} {path}")
        return match


def _call(method: MethodDescriptor, request: web.Request) -> Call:
    """Return a call by its headers."""
    return Call(
        method,
        request_class(method)(),
        bearer(request.headers.get("Authorization", "")),
        request.headers.get("Idempotency-Key", ""),
        request.host,
        client_request_id=request.headers.get(CLIENT_REQUEST_ID, ""),
    )


async def _short_body(request: web.Request) -> bytes:
    """Read a body without a token: it must be small and come at once."""
    body = bytearray()
    try:
        async with asyncio.timeout(clock.of_host(BODY_TIMEOUT)):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > PUBLIC_SIZE:
                    raise web.HTTPRequestEntityTooLarge(PUBLIC_SIZE, len(body))
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    return bytes(body)


def refusal(refused: Refused) -> web.Response:
    """Return an error in the form of google.rpc.Status."""
    return web.json_response(_plain(status_of(refused)), status=HTTP_STATUS.get(refused.code, 500))


def transcode(match: Match, query: Iterable[tuple[str, str]], body: bytes) -> Message:
    """Return the request of an RPC. Values in the path go before those in the body and the query."""
    binding = match.binding
    message = request_class(binding.method)()
    if binding.body:
        sent = _json(body)
        _parse(sent if binding.body == "*" else {binding.body: sent}, message)
    _parse(_nested(binding.method.input_type, query), message)
    _parse(_nested(binding.method.input_type, match.values.items()), message)
    return message


def _plain(message: Message) -> JsonObject:
    return json_format.MessageToDict(message)


def _json(body: bytes) -> Json:
    """Parse a body. It refuses lone surrogates too, which JSON can escape and UTF-8 lacks: they break protobuf."""
    try:
        text = (body or b"{}").decode()
        plain: Json = json.loads(text)
        if "\\u" in text:
            json.dumps(plain, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise invalid(f"the body is not JSON: {type(error).__name__}") from error
    return plain


def _parse(plain: Json, message: Message) -> None:
    if not isinstance(plain, dict):
        raise invalid("the body is not a JSON object")
    try:
        json_format.ParseDict(plain, message)
    except (json_format.Error, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise invalid(f"the request is not understood: {error}") from error


def _nested(descriptor: Descriptor, pairs: Iterable[tuple[str, str]]) -> _Query:
    """Turn `a.b=1&c=2&c=3` into the JSON form of a message."""
    root: _Query = {}
    for path, text in pairs:
        *parents, last = path.split(".")
        node, kind = root, descriptor
        for parent in parents:
            field = _field(kind, parent, path)
            if field.message_type is None or field.is_repeated:
                raise invalid(f"{path} cannot stand in a query", path)
            inner = node.setdefault(field.name, {})
            if not isinstance(inner, dict):
                raise invalid(f"{path} is given twice", path)
            node, kind = inner, field.message_type
        _put(node, _field(kind, last, path), text)
    return root


def _field(descriptor: Descriptor, name: str, path: str) -> FieldDescriptor:
    field: FieldDescriptor | None = next(
        (field for field in descriptor.fields if name in {field.name, field.camelcase_name}), None
    )
    if field is None:
        raise invalid(f"the request has no field {path}", path)
    return field


def _put(node: _Query, field: FieldDescriptor, text: str) -> None:
    value: str | bool = text
    if field.type == FieldDescriptor.TYPE_BOOL:
        value = {"true": True, "false": False}.get(text, text)
    earlier = node.get(field.name)
    if field.is_repeated:
        node[field.name] = [*(earlier if isinstance(earlier, list) else ()), value]
    elif earlier is not None:
        raise invalid(f"{field.name} is given twice", field.name)
    else:
        node[field.name] = value
