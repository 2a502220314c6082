"""Serves the port for HTTP: the REST form of the API, and routes that are for the operator alone."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from weakref import WeakSet

from aiohttp import web
from aiohttp.typedefs import Handler

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.api.pipeline import Api
from samovar.localcloud.api.pki import Pki
from samovar.localcloud.api.tokens import bearer
from samovar.localcloud.api.transcoding import RestForm, refusal
from samovar.localcloud.sockets.connections import Connections
from samovar.localcloud.sockets.listener import Listener

KEEP_ALIVE = 75.0
"""Seconds that a connection may stay without a request."""
GRACE = 0.5
"""Seconds in which a request may be answered once the server is to end: a client may never read its answer."""
MAX_BODY = 4 * 1024 * 1024


class RestServer:
    """One application, answering at as many sockets as it is given."""

    def __init__(self, runner: web.AppRunner, pki: Pki, connections: Connections) -> None:
        self._runner = runner
        self._connections = connections
        self._listeners: WeakSet[Listener] = WeakSet()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(pki.certificate, pki.key)

    async def answer_at(self, sock: socket.socket, network: str = "") -> Listener:
        """Answer at a bound socket, of the host or of a network; `stop()` of what is returned ends it."""
        assert self._runner.server is not None  # noqa: S101 - it is set up
        listener = Listener(sock, self._runner.server, self._connections, tls=self._tls, network=network)
        listener.start()
        self._listeners.add(listener)
        return listener

    async def close(self) -> None:
        for listener in self._listeners:
            await listener.stop()
        await self._runner.cleanup()


async def make_rest_server(api: Api, routes: Iterable[web.RouteDef], pki: Pki) -> RestServer:
    """Return a server of the REST form and of `routes`, which go before it; it answers nowhere yet."""
    connections = Connections()
    app = web.Application(client_max_size=MAX_BODY, middlewares=[connections.middleware, _abort_cancelled])
    app.add_routes([_guarded(route, api) for route in routes])
    app.add_routes(RestForm(api).routes())
    runner = web.AppRunner(
        app, access_log=None, handle_signals=False, keepalive_timeout=KEEP_ALIVE, shutdown_timeout=GRACE
    )
    await runner.setup()
    return RestServer(runner, pki, connections)


@web.middleware
async def _abort_cancelled(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Abort the connection of an answer that the end of the server cuts off: who reads nothing ends no TLS either."""
    transport = request.transport
    try:
        return await handler(request)
    except asyncio.CancelledError:
        if transport is not None:
            transport.abort()
        raise


def _guarded(route: web.RouteDef, api: Api) -> web.RouteDef:
    """Return the same route for the operator alone."""
    handler = route.handler

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            api.check_operator(bearer(request.headers.get("Authorization", "")))
        except Refused as refused:
            return refusal(refused)
        return await handler(request)

    return web.RouteDef(route.method, route.path, handle, route.kwargs)
