"""The web server of the page: on loopback, read-only, and for whoever has its address alone."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import web

from samovar.core.errors import HostError
from samovar.dashboard.feed import Feed
from samovar.dashboard.render import PAGE, templates

FILES = {
    "style.css": "text/css",
    "app.js": "text/javascript",
    "uplot/uPlot.min.css": "text/css",
    "uplot/uPlot.iife.min.js": "text/javascript",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LOOPBACK = "127.0.0.1"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Gate:
    """Lets in whoever names the token, from a page of this server or from none."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/{self.token}/"

    def refusal(self, token: str, headers: Mapping[str, str]) -> str | None:
        """Return why a request is refused; None where it is not.

        A page of another site can send a browser here, by a name of its own that leads to loopback or by a link. The
        first has another Host, the second another Origin, and neither knows the token.
        """
        hosts = {f"{name}:{self.port}" for name in (LOOPBACK, "localhost")}
        host, origin = headers.get("Host", ""), headers.get("Origin")
        if host not in hosts:
            return "the Host is not that of this server"
        if origin is not None and origin != f"http://{host}":
            return "the Origin is another site"
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return "the token is wrong: open the address that `dashboard` printed"
        return None


def make_app(name: str, feed: Feed, gate: Gate) -> web.Application:
    """Return the application that shows an environment of that name."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        token = request.path.split("/")[1]
        if reason := gate.refusal(token, request.headers):
            return web.Response(status=403, text=f"{reason}\n", headers=HEADERS)
        return await handler(request)

    async def page(_: web.Request) -> web.Response:
        text = templates().get_template("page.html.j2").render(environment=name)
        return web.Response(text=text, content_type="text/html", headers=HEADERS)

    async def file(request: web.Request) -> web.Response:
        path = request.match_info["path"]
        if path not in FILES:
            raise web.HTTPNotFound
        return web.Response(body=(PAGE / path).read_bytes(), content_type=FILES[path], headers=HEADERS)

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=HEADERS | {"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with suppress(ConnectionError):  # the viewer has left
            async for message in feed.messages(tall=request.query.get("tall") == "1"):
                await response.write(message.encode())
        return response

    app = web.Application(middlewares=[guard])
    app.router.add_get("/{token}/", page)
    app.router.add_get("/{token}/stream", stream)
    app.router.add_get("/{token}/{path:.+}", file)
    return app


async def serve(name: str, feed: Feed, port: int, interval: float, opened: Callable[[str], None]) -> None:
    """Serve the page until the readings end; `opened` gets its address. Port 0 is a free one. Raises HostError."""
    sock = _bound(port)
    gate = Gate(sock.getsockname()[1])
    runner = web.AppRunner(make_app(name, feed, gate), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.SockSite(runner, sock).start()
        opened(gate.url)
        measuring = asyncio.create_task(feed.measure(interval))
        await feed.read()
        measuring.cancel()
    finally:
        await runner.cleanup()


def _bound(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port))
    except OSError as error:
        raise HostError(
            f"{LOOPBACK}:{port} cannot be listened at: {error.strerror}", remedy="give another --port, or none"
        ) from error
