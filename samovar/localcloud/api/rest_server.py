"""The second port: what is not gRPC. Beside the API's REST form, all of it is for the operator alone."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import cast

from aiohttp import web

from samovar.core.waiting import to_the_end
from samovar.localcloud.api.errors import Refused
from samovar.localcloud.api.pipeline import Api
from samovar.localcloud.api.pki import Pki
from samovar.localcloud.api.transcoding import RestForm, bearer, refusal

MAX_BODY = 16 * 1024 * 1024


class RestServer:
    """One application, answering at as many sockets as it is given."""

    def __init__(self, runner: web.AppRunner, pki: Pki) -> None:
        self._runner = runner
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(pki.certificate, pki.key)

    async def answer_at(self, sock: socket.socket) -> web.BaseSite:
        """Answers at a bound socket, wherever it was bound; `stop()` of what is returned ends it."""
        site = web.SockSite(self._runner, sock, ssl_context=self._tls)
        await to_the_end(site.start())
        return site

    async def close(self) -> None:
        await self._runner.cleanup()


async def make_rest_server(api: Api, routes: Iterable[web.RouteDef], pki: Pki) -> RestServer:
    """A server of the REST form and of `routes`, which go before it; it answers nowhere yet."""
    app = web.Application(client_max_size=MAX_BODY)
    app.add_routes([_guarded(route, api) for route in routes])
    app.add_routes(RestForm(api).routes())
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    return RestServer(runner, pki)


def _guarded(route: web.RouteDef, api: Api) -> web.RouteDef:
    """The same route for the operator alone."""
    handler = cast("Callable[[web.Request], Awaitable[web.StreamResponse]]", route.handler)

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            api.check_operator(bearer(request))
        except Refused as refused:
            return refusal(refused)
        return await handler(request)

    return web.RouteDef(route.method, route.path, handle, route.kwargs)
