"""Scenarios of one client that sends slow, huge or many requests to an edge."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.support.edge_lab import (
    SETTINGS,
    Result,
    Server,
    StubBingo,
    ask,
    certificate,
    configure,
)

STREAMS, LONGEST = 50, 2000
"""Streams that are sent in one write, and on one connection."""
HEADERS = b"\x82\x87\x41\x01a\x44\x06/reset"
"""HPACK (RFC 7541) of GET, https, authority "a" and path "/reset"."""
CANCEL = (8).to_bytes(4)


def slow_and_huge_requests() -> Result:
    result: Result = {}
    Server("balancer", "127.0.0.2", 81)
    configure(SETTINGS)
    began = time.monotonic()
    slow = [_connect(b"GET /ping HTTP/1.1\r\nHost: a\r\nX-A: ") for _ in range(500)]
    half = _connect(b"POST /operation HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
    result["meanwhile"] = [ask("/ping")[0] for _ in range(50)]
    while time.monotonic() < began + 8:
        for connection in slow[:100]:
            connection.sendall(b"a")
        time.sleep(1)
    result["still"] = ask("/ping")[0]
    result["ended"] = [_read_to_end(connection) for connection in (half, *slow[::100])]
    result["seconds"] = time.monotonic() - began
    began = time.monotonic()
    result["huge"] = [
        _first_line(_connect(b"GET /ping HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 40000 + b"\r\n\r\n")),
        _first_line(_connect(b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")),
        _first_line(_connect(b"POST /operation HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")),
    ]
    result["at_once"] = time.monotonic() - began
    result["seen"] = set(StubBingo.requests) == {"balancer GET /ping"}
    result["last"] = ask("/ping")[0]
    return result


def peak_and_flood() -> Result:
    result: Result = {}
    Server("balancer", "127.0.0.2", 81)
    configure(SETTINGS | {"client_rate": 20})
    ask("/ping")

    def flood(number: int) -> tuple[list[str], float]:
        began = time.monotonic()
        command = [
            "curl",
            "--silent",
            "--parallel",
            "--parallel-immediate",
            "--parallel-max",
            str(number),
            "--output",
            "/dev/null",
            "--write-out",
            "%{http_code} ",
            f"http://127.0.0.1/ping?[1-{number}]",
        ]
        codes = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        return codes, time.monotonic() - began

    result["peak"] = flood(50)
    time.sleep(4)
    flooding = threading.Thread(target=lambda: result.update(flood=flood(300)))
    flooding.start()
    time.sleep(0.3)
    result["other"] = ask("/ping", client="127.0.0.3")[0]
    flooding.join()
    time.sleep(1.5)
    result["logged"] = _statuses().count(429)
    result["errors"] = Path("/var/log/nginx/error.log").read_text().count("limiting")
    return result


def slow_headers(headers: int, rate: int) -> Result:
    result: Result = {}
    Server("balancer", "127.0.0.2", 81)
    configure(SETTINGS | {"client_rate": rate, "worker_connections": 1024})
    sockets: list[socket.socket] = []
    others: list[list[float]] = []
    held = 0

    def other() -> None:
        began = time.monotonic()
        others.append([ask("/ping", client="127.0.0.3")[0], time.monotonic() - began])

    began = time.monotonic()
    threads: list[threading.Thread] = []
    for number in range(headers * 500):
        client = socket.socket()
        client.settimeout(0)
        sockets.append(client)
        with suppress(OSError):
            client.connect_ex(("127.0.0.1", 80))
            client.send(b"GET /ping HTTP/1.1\r\nHost: a\r\nX-A: ")
            held += 1
        if number % 100 == 0:
            threads.append(threading.Thread(target=other))
            threads[-1].start()
        time.sleep(max(0, began + number / 400 - time.monotonic()))
    result["seconds"] = time.monotonic() - began
    for thread in threads:
        thread.join()
    result["held"], result["others"] = held, others
    result["full"] = "worker_connections" in Path("/var/log/nginx/error.log").read_text()
    return result


def quic_first_packets(rate: int) -> Result:
    result: Result = {}
    configure({"client_rate": rate})

    def dropped() -> int:
        listed = json.loads(subprocess.check_output(["nft", "--json", "list", "chain", "ip", "edge", "opened"]))
        rule = next(item["rule"]["expr"] for item in listed["nftables"] if "rule" in item)
        return int(next(part["counter"]["packets"] for part in rule if "counter" in part))

    for first in (0x40, 0xE0, 0xC0):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            for _ in range(rate * 10):
                with suppress(OSError):
                    datagrams.sendto(bytes([first]) + b"a" * 100, ("127.0.0.1", 443))
        result[f"{first:x}"] = dropped()
    return result


def rapid_resets(rate: int, seconds: float) -> Result:
    """Let four threads of a client open streams of HTTP/2 and reset each at once, as CVE-2023-44487 has it."""
    Server("balancer", "127.0.0.2", 81)
    configure(SETTINGS | {"client_rate": rate, "secrets": {"certificate": certificate()}})
    end = time.monotonic() + seconds
    resets: list[int] = []

    def attack() -> None:
        while time.monotonic() < end:
            resets.append(_reset_streams(end))

    attackers = [threading.Thread(target=attack) for _ in range(4)]
    for attacker in attackers:
        attacker.start()
    others: list[list[float]] = []
    while time.monotonic() < end:
        began = time.monotonic()
        others.append([ask("/ping", client="127.0.0.3")[0], time.monotonic() - began])
        time.sleep(0.1)
    for attacker in attackers:
        attacker.join()
    time.sleep(1.5)
    reached = StubBingo.requests.count("balancer GET /reset")
    counts = {"refused": _statuses().count(429) * 100, "passed": _statuses().count(499), "reached": reached}
    return {"sent": sum(resets), "connections": len(resets), "others": others, **counts}


def _reset_streams(end: float) -> int:
    """Open and reset streams on a connection of its own; returns how many."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    sent = 0
    with suppress(OSError), context.wrap_socket(socket.create_connection(("127.0.0.1", 443), 5)) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b""))
        while time.monotonic() < end and sent < LONGEST:
            streams = range(2 * sent + 1, 2 * sent + 1 + 2 * STREAMS, 2)
            connection.sendall(b"".join(_frame(1, 5, each, HEADERS) + _frame(3, 0, each, CANCEL) for each in streams))
            sent += STREAMS
    return sent


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def _connect(text: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", 80), 30)
    connection.sendall(text)
    return connection


def _read_to_end(connection: socket.socket) -> str:
    answer = b""
    with suppress(OSError):
        while part := connection.recv(65536):
            answer += part
    return answer.decode(errors="replace").partition("\r\n")[0]


def _first_line(connection: socket.socket) -> str:
    return connection.makefile("rb").readline().decode()


def _statuses() -> list[int]:
    """Return the statuses in nginx's log."""
    return [json.loads(line)["status"] for line in Path("/var/log/nginx/access.log").read_text().splitlines()]
