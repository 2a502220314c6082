#!/usr/bin/python3
"""Serves `/-/health` on the socket that systemd passes: whether this machine is healthy.

A database that starts, or recovers for however long, is healthy: it must not be replaced for being slow. One without
data, or one that ends again and again, is not. This program keeps running, so that a request costs little: a busy
machine has no time to start a unit for each, and would be replaced for that.
"""

from __future__ import annotations

import socket
import subprocess
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from pathlib import Path

LISTEN_FD = 3
"""The first descriptor of a service that has a socket: sd_listen_fds(3)."""
DATA, SERVER = "pgdata.service", "postgres.service"
DATA_MESSAGE = Path("/run/samovar/pgdata")
TIMEOUT = 5.0
ALLOWED = tuple(ip_network(text) for text in ("127.0.0.0/8", "198.18.235.0/24", "198.18.248.0/24"))
"""The machine itself, and the ranges from which Yandex Cloud checks its health."""


def is_allowed(address: str) -> bool:
    """Return whether the address may read the page; an IPv6 socket shows one of IPv4 as ::ffff:ADDRESS."""
    parsed = ip_address(address)
    client = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(client in network for network in ALLOWED)


def unhealthy_reason(states: str) -> str:
    """Return why the machine is unhealthy, empty if it is not, from `systemctl show` of both units."""
    data, server = (dict(line.split("=", 1) for line in unit.splitlines()) for unit in states.strip().split("\n\n"))
    state = f"{data['ActiveState']}/{server['SubState']}"
    if state.startswith(("active/running", "active/start", "active/reload")):
        return ""
    return f"{state}: {DATA_MESSAGE.read_text().strip() if DATA_MESSAGE.exists() else 'starting'}"


def states() -> str:
    """Return the states of the data disk and the server. Raises SubprocessError if systemd does not answer."""
    command = ("/usr/bin/systemctl", "show", "--property=ActiveState,SubState", DATA, SERVER)
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT).stdout  # noqa: S603


class Handler(BaseHTTPRequestHandler):
    """Handles one request. Its errors are short, and name neither Python nor a version."""

    timeout = TIMEOUT
    error_message_format = "%(code)d\n"
    error_content_type = "text/plain"
    server_version, sys_version = "health", ""

    def do_GET(self) -> None:
        if self.path != "/-/health" or not is_allowed(self.client_address[0]):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            reason = unhealthy_reason(states())
        except subprocess.SubprocessError as error:
            reason = f"systemd does not answer: {error}"
        body = f"{reason or 'ok'}\n".encode()
        self.send_response(HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Log nothing: there is a request every few seconds."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=LISTEN_FD)
    server.serve_forever()
