"""The scenario of the HAProxy of a bingo machine: who gets its health pages."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.edge_lab import Result, Server, StubBingo, is_open, run, wait_until

PAGES = ("/-/health", "/-/ready")
WORLD = "203.0.113.9"
FORWARDED = ("--header", "X-Forwarded-For: 203.0.113.7")


class Watchdog(StubBingo):
    """Answers every path with 200."""

    def do_GET(self) -> None:  # noqa: N802 - its name there
        self._answer(200, "well")


def health_pages(configuration: str) -> Result:
    """Ask the proxy as a health check, as an edge, and as a client of an edge."""
    watchdog = Server("watchdog", "127.0.0.1", 8101)
    watchdog.RequestHandlerClass = Watchdog
    Path("/run/bingo.cfg").write_text(configuration)
    run("mkdir -p /run/haproxy; haproxy -W -f /run/bingo.cfg >/var/log/nginx/haproxy.log 2>&1 &")
    wait_until(lambda: is_open(80))
    run(f"ip address add {WORLD}/32 dev lo")
    others, methods = ("/-/", "/-/health/", "/-/x", "/-/healthy"), (("--data", "x"), ("--head",))
    return {
        "allowed": [_status(client, path) for client in ("198.18.235.2", "10.0.0.9") for path in PAGES],
        "client": [_status("10.0.0.9", path, *FORWARDED) for path in PAGES],
        "world": [_status(WORLD, path) for path in PAGES],
        "others": [_status("198.18.235.2", path) for path in others],
        "methods": [_status("198.18.235.2", "/-/health", *options) for options in methods],
    }


def _status(client: str, path: str, *options: str) -> str:
    command = ["curl", "-so", "/dev/null", "-w", "%{http_code}", "--path-as-is", "--interface", client, *options]
    asked = subprocess.run([*command, f"http://10.0.0.9{path}"], capture_output=True, text=True, check=False)
    return asked.stdout
