"""Serves `/-/health` and `/-/ready` to the proxy: 200, or 503 with the reason."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .policy import Verdict

LEAVING = Path("/run/samovar-leaving")
"""It exists once the machine is about to stop: no more requests are to be sent to it."""


class HealthServer:
    """Serves the latest verdict. Before the first one the machine is alive and not ready."""

    def __init__(self, port: int) -> None:
        self.verdict = Verdict(unready="the application was not asked yet")
        server = ThreadingHTTPServer(("127.0.0.1", port), partial(_Handler, self))
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def reason(self, path: str) -> str | None:
        """Return why the path is unhealthy, empty if it is healthy; None for an unknown path."""
        verdict = self.verdict
        leaves = "the machine is about to stop" if LEAVING.exists() else ""
        return {"/-/health": verdict.dead, "/-/ready": leaves or verdict.dead or verdict.unready}.get(path)


class _Handler(BaseHTTPRequestHandler):
    """Handles one request. Its errors are short, and name neither Python nor a version."""

    timeout = 5.0
    error_message_format = "%(code)d\n"
    error_content_type = "text/plain"
    server_version, sys_version = "watchdog", ""

    def __init__(self, health: HealthServer, *args: object) -> None:
        self._health = health
        super().__init__(*args)  # type: ignore[arg-type]

    def handle(self) -> None:
        """A check that closes its connection early is no error that a console should show."""
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        reason = self._health.reason(self.path.partition("?")[0])
        if reason is None:
            self._reply(HTTPStatus.NOT_FOUND, "not found")
        else:
            self._reply(HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK, reason or "ok")

    def _reply(self, status: HTTPStatus, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Log nothing: there is a request every second."""
