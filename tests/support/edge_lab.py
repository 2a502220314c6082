"""The tools of scenarios that run inside the edge's image, by its own Python, with PyYAML.

`python3 -m tests.support.edge_lab MODULE FUNCTION ARGUMENTS` runs a function of `edge_scenarios` and prints its result.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

OWN = "10.0.0.9"
BINGO = {"group": "bingo", "machines": 2}
KIND: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "groups/edge.yaml").read_text())
HAPROXY_PORT = 8001
"""At which HAProxy takes requests for the edge that works."""
SETTINGS: dict[str, Any] = {**KIND["settings"], "upstreams": {"app": {"address": "127.0.0.2:81", **BINGO}}}
"""Those of the edges of this checkout, before a balancer at 127.0.0.2:81."""
Result = dict[str, Any]


class StubBingo(BaseHTTPRequestHandler):
    """Answers with its name, the scheme in the request and the time; `/long_dummy` after `long` seconds."""

    protocol_version = "HTTP/1.1"
    server: Server
    requests: list[str] = []  # noqa: RUF012 - of all of them
    ids: list[str | None] = []  # noqa: RUF012
    request_headers: list[list[str]] = []  # noqa: RUF012 - the names of those of each request
    fetches: list[tuple[float, float]] = []  # noqa: RUF012 - when each `/long_dummy` began and ended
    long = 0.5

    def do_GET(self) -> None:
        if self.path == "/-/health":
            return self._answer(200, "ok")
        StubBingo.requests.append(f"{self.server.name} {self.command} {self.path}")
        StubBingo.ids.append(self.headers["X-Request-Id"])
        StubBingo.request_headers.append(self.headers.keys())
        if self.path.partition("?")[0].strip("/") == "long_dummy":
            began = time.monotonic()
            time.sleep(StubBingo.long)
            StubBingo.fetches.append((began, time.monotonic()))
        text = json.dumps([self.server.name, self.headers["X-Forwarded-Proto"], time.time()])
        return self._answer(self.server.status, text)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    do_DELETE = do_GET  # noqa: N815 - its name there

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Cache-Control", "max-age=3600")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Write no log."""


class Server(ThreadingHTTPServer):
    """A server in place of a bingo or of its balancer."""

    request_queue_size = 1000
    status = 200

    def __init__(self, name: str, address: str, port: int) -> None:
        super().__init__((address, port), StubBingo)
        self.name = name
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def end(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """A client that leaves is no error."""


def run(command: str) -> None:
    subprocess.run(["sh", "-euc", command], check=True, stdout=sys.stderr)


def render(settings: Mapping[str, Any]) -> None:
    """Write the configuration as the agent does."""
    subprocess.run([sys.executable, "-m", "samovar_agent.dry_run", "samovar-edge", json.dumps(settings)], check=True)


def configure(settings: Mapping[str, Any], *, rendered: bool = False) -> None:
    """Write the configuration, and start HAProxy and nginx."""
    if not rendered:
        render(settings)
    run("rm -f /etc/nftables.d/10-metadata.nft; nft -f /etc/nftables.conf; nft -f /etc/samovar/clients.nft")
    run("haproxy -W -p /run/haproxy.pid -f /etc/haproxy/haproxy.cfg >/var/log/nginx/haproxy.log 2>&1 &")
    run("nginx")
    wait_until(lambda: is_open(HAPROXY_PORT))


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def haproxy() -> int:
    return int(Path("/run/haproxy.pid").read_text())


def ask(path: str, method: str = "GET", *, tls: bool = False, timeout: float = 20, client: str = "") -> list[Any]:
    """Send a request; returns status, body, and headers by their names in lower case."""
    context, source = ssl.create_default_context(), (client, 0) if client else None
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = (
        HTTPSConnection("127.0.0.1", timeout=timeout, context=context, source_address=source)
        if tls
        else HTTPConnection("127.0.0.1", timeout=timeout, source_address=source)
    )
    try:
        connection.request(method, path, body=b"x" if method == "POST" else None)
        answer = connection.getresponse()
        headers = {name.lower(): text for name, text in answer.headers.items()}
        return [answer.status, answer.read().decode().strip(), headers]
    finally:
        connection.close()


def in_background(path: str, method: str = "GET") -> Callable[[], list[Any]]:
    """Send a request in the background; returns a function that waits for the answer."""
    answers: list[list[Any]] = []
    thread = threading.Thread(target=lambda: answers.append(ask(path, method)))
    thread.start()

    def ended() -> list[Any]:
        thread.join()
        return answers[0]

    return ended


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition. The image has no tenacity, which the waits of the tests outside are made of."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


def wait_for_worker(name: str) -> None:
    """Wait until the edge or machine of that name answers."""
    wait_until(lambda: name in ask("/")[1])


def certificate() -> dict[str, str]:
    run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=a"
        " -keyout /run/key -out /run/cert 2>/dev/null"
    )
    return {"cert": Path("/run/cert").read_text(), "key": Path("/run/key").read_text()}


class Load:
    """Sends `rate` requests a second on schedule until `ended` is called: status, body, seconds from when due."""

    def __init__(self, path: str = "/", method: str = "GET", rate: float = 20) -> None:
        self._answers: list[list[Any]] = []
        self._going = True
        self._thread = threading.Thread(target=self._send, args=(path, method, rate), daemon=True)
        self._thread.start()

    def ended(self) -> list[list[Any]]:
        self._going = False
        self._thread.join()
        return self._answers

    def _send(self, path: str, method: str, rate: float) -> None:
        due, threads = time.monotonic(), []
        while self._going:
            threads.append(threading.Thread(target=self._one, args=(path, method, due)))
            threads[-1].start()
            due += 1 / rate
            time.sleep(max(0, due - time.monotonic()))
        for thread in threads:
            thread.join()

    def _one(self, path: str, method: str, due: float) -> None:
        try:
            status, body, _ = ask(path, method)
        except (OSError, HTTPException) as error:
            status, body = 0, repr(error)
        self._answers.append([status, body, time.monotonic() - due])


class PeerMachine:
    """Another edge with a network stack of its own, at `address`."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            ["unshare", "--net", sys.executable, Path(__file__).with_name("edge_peer.py"), name]
        )
        self._net = Path(f"/proc/{self.process.pid}/ns/net")
        here = Path("/proc/self/ns/net").readlink()
        wait_until(lambda: self._net.readlink() != here)
        run(f"ip link add {name} type veth peer name eth0 netns {self.process.pid}; ip link set {name} up")
        run(f"ip route add {address}/32 dev {name} src {OWN}")
        self.run(f"ip link set lo up; ip link set eth0 up; ip address add {address}/32 dev eth0")
        self.run(f"ip route add {OWN}/32 dev eth0; nft add table ip cut")

    def run(self, command: str) -> str:
        inside = ["nsenter", f"--net={self._net}", "sh", "-uc", command]
        return subprocess.run(inside, check=False, capture_output=True, text=True).stdout.strip()

    def cut(self) -> None:
        """Drop all packets, both ways."""
        for hook in ("prerouting", "output"):
            self.run(f"nft 'add chain ip cut {hook} {{ type filter hook {hook} priority raw; policy drop; }}'")

    def drop_data(self) -> None:
        """Accept connections and drop what is sent over them: packets longer than those of a handshake."""
        self.run("nft 'add chain ip cut deaf { type filter hook prerouting priority raw; }'")
        self.run("nft add rule ip cut deaf meta length gt 60 drop")

    def refuse(self) -> None:
        """Refuse connections to the peer port."""
        self.run("nft 'add chain ip cut refuse { type filter hook input priority filter; }'")
        self.run("nft add rule ip cut refuse tcp dport 8081 reject with tcp reset")

    def restore(self) -> None:
        self.run("nft flush ruleset; nft add table ip cut")

    def requests(self) -> list[str]:
        path = Path(f"/run/{self.name}.seen")
        return path.read_text().splitlines() if path.exists() else []


def peer_port_state() -> str:
    """Return `open`, or the error of a connection to this edge's own peer port."""
    try:
        with socket.create_connection((OWN, 8081), 2, source_address=(OWN, 0)):
            return "open"
    except OSError as error:
        return os.strerror(error.errno or 0)


def main(module: str, function: str, arguments: str) -> None:
    """Run a scenario, print its result as JSON, and end without waiting for threads."""
    scenario = getattr(importlib.import_module(module), function)
    print(json.dumps(scenario(**json.loads(arguments))), flush=True)  # noqa: T201 - the result
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
