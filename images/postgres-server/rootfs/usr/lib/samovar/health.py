#!/usr/bin/python3
"""Answers `/-/health` on the socket that systemd hands over: whether this machine is well.

A database that starts, or recovers for however long, is well: it must not be replaced for being slow. One that has no
data, or dies again and again, is not. This stays up, for a question must cost next to nothing: a machine that is busy
has no time to start a unit and its processes each time, and would be made anew for that.
"""

from __future__ import annotations

import socket
import subprocess
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from pathlib import Path

HANDED_OVER = 3
"""The first descriptor of a service that has a socket: sd_listen_fds(3)."""
DATA, SERVER = "pgdata.service", "postgres.service"
SAYING = Path("/run/samovar/pgdata")
PATIENCE = 5.0
ASKERS = tuple(ip_network(text) for text in ("127.0.0.0/8", "198.18.235.0/24", "198.18.248.0/24"))
"""This machine itself, and the ranges from which Yandex Cloud asks for its health."""


def may_ask(address: str) -> bool:
    """Whether how the machine is concerns that address; a socket of IPv6 shows one of IPv4 as ::ffff:ADDRESS."""
    found = ip_address(address)
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in ASKERS)


def why_not(states: str) -> str:
    """Why this machine is not well, empty where it is, by what `systemctl show` says of both units."""
    data, server = (dict(line.split("=", 1) for line in unit.splitlines()) for unit in states.strip().split("\n\n"))
    state = f"{data['ActiveState']}/{server['SubState']}"
    if state.startswith(("active/running", "active/start", "active/reload")):
        return ""
    return f"{state}: {SAYING.read_text().strip() if SAYING.exists() else 'starting'}"


def states() -> str:
    """Of the data disk and of the server; raises SubprocessError where systemd does not say."""
    command = ("/usr/bin/systemctl", "show", "--property=ActiveState,SubState", DATA, SERVER)
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout  # noqa: S603


class Answer(BaseHTTPRequestHandler):
    """One question. Its errors are short, and name neither Python nor a version."""

    timeout = PATIENCE
    error_message_format = "%(code)d\n"
    error_content_type = "text/plain"
    server_version, sys_version = "health", ""

    def do_GET(self) -> None:
        if self.path != "/-/health" or not may_ask(self.client_address[0]):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            reason = why_not(states())
        except subprocess.SubprocessError as error:
            reason = f"systemd does not say: {error}"
        body = f"{reason or 'ok'}\n".encode()
        self.send_response(HTTPStatus.SERVICE_UNAVAILABLE if reason else HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Health is asked every few seconds: nobody wants to read that."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("", 0), Answer, bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=HANDED_OVER)
    server.serve_forever()
