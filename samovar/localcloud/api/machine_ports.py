"""Forwards a request to a port of a machine's loopback, and the answer as it comes: for metrics and journals."""

from __future__ import annotations

import socket
from collections.abc import Callable

import aiohttp
from aiohttp import web
from yarl import URL

from samovar.localcloud.api.errors import not_found
from samovar.localcloud.api.transcoding import refusal

PORT = "/localcloud/machines/{id:[a-z0-9]+}/ports/{port:[0-9]{1,5}}/{path:.*}"
ASKED, ANSWERED = ("Accept", "Range"), ("Content-Type",)
"""The headers that are passed on."""
BAD_GATEWAY = 502
SocketOf = Callable[[str], socket.socket | None]
"""Opens a TCP socket inside a machine, by the machine's id; None where no such machine runs."""


def port_route(socket_of: SocketOf) -> web.RouteDef:
    """Return the route of the ports of machines; `socket_of` opens a socket inside of one."""

    async def forward(request: web.Request) -> web.StreamResponse:
        opened = socket_of(request.match_info["id"])
        if opened is None:
            return refusal(not_found("Running machine", request.match_info["id"]))
        with opened:
            return await _forward(request, opened)

    return web.get(PORT, forward)


async def _forward(request: web.Request, opened: socket.socket) -> web.StreamResponse:
    """Pass the request on by that socket, and what is answered as it comes."""
    connector = aiohttp.TCPConnector(socket_factory=lambda _: opened)
    url = URL(f"http://127.0.0.1:{request.match_info['port']}/{request.path_qs.split('/', 6)[6]}", encoded=True)
    headers = {"Accept-Encoding": "identity"} | {
        name: request.headers[name] for name in ASKED if name in request.headers
    }
    timeout = aiohttp.ClientTimeout(total=None, connect=5)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session,
            session.get(url, headers=headers) as answer,
        ):
            return await _answer(request, answer)
    except aiohttp.ClientConnectionError as error:
        return web.json_response({"message": f"{url}: {error}"}, status=BAD_GATEWAY)


async def _answer(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = {name: answer.headers[name] for name in ANSWERED if name in answer.headers}
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    async for part in answer.content.iter_any():
        await response.write(part)
    await response.write_eof()
    return response
