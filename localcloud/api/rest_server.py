"""The second port: what is not gRPC. Every path but none asks for the same token as the API."""

from __future__ import annotations

import json
import ssl
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from localcloud.api.pki import Pki
from localcloud.api.tokens import Tokens

MAX_BODY = 16 * 1024 * 1024


async def serve_rest(
    routes: Iterable[web.AbstractRouteDef], tokens: Tokens, pki: Pki, host: str, port: int
) -> web.AppRunner:
    """Starts to serve over TLS."""
    app = web.Application(middlewares=[_authenticator(tokens)], client_max_size=MAX_BODY)
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.certificate, pki.key)
    site = web.TCPSite(runner, host, port, ssl_context=context)
    await site.start()
    return runner


def refusal(status: int, code: int, message: str) -> web.Response:
    """An error in the form of google.rpc.Status, as the REST form of the API has it."""
    return web.json_response({"code": code, "message": message}, status=status, dumps=json.dumps)


def _authenticator(tokens: Tokens) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def authenticate(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or tokens.subject(token) is None:
            return refusal(401, 16, "The token is invalid or has expired")
        return await handler(request)

    return authenticate
