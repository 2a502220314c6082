#!/usr/bin/python3
"""Serves `/-/health` on the socket that systemd passes: whether this machine is healthy.

A database that starts, or recovers for however long, is healthy: it must not be replaced for being slow. One without
data, or one that ends again and again, is not, whatever it does when it is asked. This program keeps running, so that a
request costs little: a busy machine has no time to start a unit for each, and would be replaced for that.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections import deque
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from itertools import pairwise
from pathlib import Path

LISTEN_FD = 3
"""The first descriptor of a service that has a socket: sd_listen_fds(3)."""
DATA, SERVER = "pgdata.service", "postgres.service"
DATA_MESSAGE = Path("/run/samovar/pgdata")
DATA_FOLDER, MOUNTS = "/data", Path("/proc/self/mountinfo")
NOT_WRITTEN = frozenset({"ro", "emergency_ro"})
"""What the kernel adds to the options of a file system that it found damaged: the second one from Linux 6.15 on."""
TIMEOUT = 5.0
PERIOD, MOST_ENDS = 60.0, 3
"""A server that ended so often in so many seconds ends again and again."""
ALLOWED = tuple(ip_network(text) for text in ("127.0.0.0/8", "198.18.235.0/24", "198.18.248.0/24"))
"""The machine itself, and the ranges from which Yandex Cloud checks its health."""


def is_allowed(address: str) -> bool:
    """Return whether the address may read the page; an IPv6 socket shows one of IPv4 as ::ffff:ADDRESS."""
    parsed = ip_address(address)
    client = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(client in network for network in ALLOWED)


class Ends:
    """Counts how often the server ended lately, by the restarts that systemd had counted at each question."""

    def __init__(self) -> None:
        self._counts = deque[tuple[float, int]]()

    def lately(self, restarts: int, now: float) -> int:
        """Return the ends of the last `PERIOD` seconds. systemd counts from 0 again when somebody starts the unit."""
        self._counts.append((now, restarts))
        counts = [(at, count) for at, count in tuple(self._counts) if now - at <= PERIOD]
        self._counts = deque(counts)
        return sum(max(0, later - earlier) for (_, earlier), (_, later) in pairwise(counts))


def properties(states: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the properties of the data disk and the server, from what `systemctl show` prints."""
    data, server = (dict(line.split("=", 1) for line in unit.splitlines()) for unit in states.strip().split("\n\n"))
    return data, server


def unhealthy_reason(data: dict[str, str], server: dict[str, str], ends: int) -> str:
    """Return why the machine is unhealthy, empty if it is not. `ends` is how often the server ended lately."""
    state = f"{data['ActiveState']}/{server['SubState']}"
    if ends >= MOST_ENDS:
        return f"{state}: the server ended {ends} times in {PERIOD:.0f} s"
    if state.startswith(("active/running", "active/start", "active/reload")):
        return ""
    return f"{state}: {DATA_MESSAGE.read_text().strip() if DATA_MESSAGE.exists() else 'starting'}"


def damage(mounts: str) -> str:
    """Return what is wrong with the data disk, empty if nothing. A mount's last field has its file system's options."""
    for mount in map(str.split, mounts.splitlines()):
        if mount[4] == DATA_FOLDER and not NOT_WRITTEN.isdisjoint(mount[-1].split(",")):
            return "the file system of the data disk is damaged and read-only; a start of the machine mends it"
    return ""


def states() -> str:
    """Return the states of the data disk and the server. Raises SubprocessError if systemd does not answer."""
    command = ("/usr/bin/systemctl", "show", "--property=ActiveState,SubState,NRestarts", DATA, SERVER)
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT).stdout  # noqa: S603


def reason_now(ends: Ends) -> str:
    """Return why the machine is unhealthy now, empty if it is not."""
    try:
        data, server = properties(states())
    except subprocess.SubprocessError as error:
        return f"systemd does not answer: {error}"
    reason = unhealthy_reason(data, server, ends.lately(int(server["NRestarts"]), time.monotonic()))
    return reason or damage(MOUNTS.read_text())


class Handler(BaseHTTPRequestHandler):
    """Handles one request. Its errors are short, and name neither Python nor a version."""

    ends = Ends()
    timeout = TIMEOUT
    error_message_format = "%(code)d\n"
    error_content_type = "text/plain"
    server_version, sys_version = "health", ""

    def do_GET(self) -> None:
        if self.path != "/-/health" or not is_allowed(self.client_address[0]):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        reason = reason_now(self.ends)
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
