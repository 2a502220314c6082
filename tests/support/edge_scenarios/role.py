"""Scenarios of one edge with a balancer and machines behind it."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.edge_lab import (
    BINGO,
    SETTINGS,
    Load,
    Result,
    Server,
    StubBingo,
    ask,
    certificate,
    configure,
    haproxy,
    render,
    run,
    wait_for_worker,
    wait_until,
)


def no_settings() -> Result:
    result: Result = {}
    configure({})
    result["page"] = ask("/")[:2]
    result["health"] = ask("/-/health")[:2]
    result["other"] = ask("/ping")[0]
    result["name"] = os.uname().nodename
    return result


def http_and_tls() -> Result:
    result: Result = {}
    Server("balancer", "127.0.0.2", 81)
    configure(SETTINGS | {"secrets": {"certificate": certificate()}})
    result["http"], result["tls"] = ask("/ping"), ask("/ping", tls=True)
    result["health"] = ask("/-/health", tls=True)[:2]
    result["h2"] = subprocess.run(
        ["curl", "-sko", "/dev/null", "-w", "%{http_version}", "https://127.0.0.1/ping"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    result["key"] = oct(Path("/etc/nginx/tls/key.pem").stat().st_mode & 0o777)
    time.sleep(1.5)
    result["logs"] = [_log(f"{name}.log") for name in ("access", "peer")]
    result["ids"] = StubBingo.ids
    return result


def health_pages(settings: Mapping[str, Any]) -> Result:
    result: Result = {}
    Server("balancer", "127.0.0.2", 81)
    configure({**settings, "secrets": {"certificate": certificate()}})
    paths = ["/-/health", "/-/ready", "/-/peer", "/-/x", "/-/", "//-/health", "/%2d/peer", "/x/../-/health"]

    def status(client: str, path: str, scheme: str = "http", *options: str) -> str:
        command = ["curl", "-sko", "/dev/null", "-w", "%{http_code}", "--path-as-is", "--interface", client, *options]
        return subprocess.run(
            [*command, f"{scheme}://10.0.0.9{path}"], capture_output=True, text=True, check=False
        ).stdout

    result["world"] = [
        status("10.0.0.9", path, scheme, *options)
        for path in paths
        for scheme, options in (("http", ()), ("https", ("--http1.1",)), ("https", ("--http2",)))
    ]
    result["checks"] = [status("198.18.235.2", path) for path in paths[:4]]
    result["seen"] = StubBingo.requests
    return result


def new_certificate() -> Result:
    result: Result = {}
    Server("balancer", "127.0.0.2", 81)
    configure(SETTINGS | {"secrets": {"certificate": certificate()}})

    def served() -> str:
        return ssl.get_server_certificate(("127.0.0.1", 443))

    old, pid = served(), Path("/run/nginx.pid").read_text()
    load = Load("/ping", rate=10)
    render(SETTINGS | {"secrets": {"certificate": certificate()}})
    run("nginx -s reload")
    wait_until(lambda: served() != old)
    result["load"] = [status for status, _, _ in load.ended()]
    result["same"] = Path("/run/nginx.pid").read_text() == pid
    return result


def unreachable_haproxy() -> Result:
    result: Result = {}
    Server("balancer", "127.0.0.2", 81)
    render(SETTINGS)
    run("sed -i 's/proxy_read_timeout 37s/proxy_read_timeout 1s/' /etc/nginx/nginx.conf")
    configure(SETTINGS, rendered=True)
    wait_for_worker("balancer")
    run(f"kill -STOP {haproxy()} $(cat /proc/{haproxy()}/task/*/children)")
    result["frozen"] = [ask("/ping"), ask("/operation", "POST")]
    run("nft add table ip shut; nft 'add chain ip shut in { type filter hook input priority raw; }'")
    run("nft add rule ip shut in tcp dport { 8001, 8002 } drop")
    StubBingo.requests.clear()
    result["unreachable"] = [ask("/ping")[0], ask("/operation", "POST")[0]]
    result["seen"] = StubBingo.requests
    return result


def rotated_log() -> Result:
    result: Result = {}
    configure({})
    ask("/")
    time.sleep(1.2)
    subprocess.run(["logrotate", "--force", "/etc/logrotate.d/nginx"], check=True, capture_output=True)
    time.sleep(0.5)
    ask("/other")
    time.sleep(1.5)
    result["logs"] = [[line["uri"] for line in _log(f"access.log{end}")] for end in (".1", "")]
    return result


def silent_balancer() -> Result:
    result: Result = {}
    for index in (1, 2):
        run(f"ip addr add 10.0.0.1{index}/32 dev lo")
        Server(f"bingo-{index}", f"10.0.0.1{index}", 8080)
    Server("balancer", "127.0.0.2", 81)
    configure(SETTINGS)
    wait_for_worker("balancer")
    load = Load()
    run("nft add table ip deaf; nft 'add chain ip deaf in { type filter hook prerouting priority raw; }'")
    run("nft add rule ip deaf in ip daddr 127.0.0.2 meta length gt 60 drop")
    wait_for_worker("bingo-")
    result["load"] = load.ended()
    return result


def failing_balancer() -> Result:
    result: Result = {}
    for address in ("10.0.0.11/32", "10.0.0.12/32"):
        run(f"ip addr add {address} dev lo")
    balancer = Server("balancer", "127.0.0.2", 81)
    machines = [Server(f"bingo-{index}", f"10.0.0.1{index}", 8080) for index in (1, 2)]
    configure(SETTINGS)
    result["well"] = ask("/ping")[:2]
    balancer.status = 500
    result["get"] = ask("/ping")[:2]
    result["writes"] = [ask("/operation", "POST")[0], ask("/api/session/1", "DELETE")[0]]
    result["written"] = [line for line in StubBingo.requests if "GET" not in line]
    balancer.end()
    result["away"] = [ask("/ping")[:2] for _ in range(4)]
    result["post"] = ask("/operation", "POST")[:2]
    for machine in machines:
        machine.end()
    began = time.monotonic()
    result["nobody"] = [ask("/ping"), ask("/operation", "POST")]
    result["seconds"] = time.monotonic() - began
    return result


def no_balancer() -> Result:
    result: Result = {}
    for index in (1, 2):
        run(f"ip addr add 10.0.0.1{index}/32 dev lo")
        Server(f"bingo-{index}", f"10.0.0.1{index}", 8080)
    configure({"fallback_port": 8080, "upstreams": {"app": BINGO}})
    result["names"] = [json.loads(ask("/ping")[1])[0] for _ in range(8)]
    return result


def _log(name: str) -> list[dict[str, Any]]:
    """Return the lines of one of nginx's logs."""
    return [json.loads(line) for line in Path("/var/log/nginx", name).read_text().splitlines()]
