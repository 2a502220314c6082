"""Passes bytes to an edge, and records which requests the application behind it gets.

Each line of the input is one exchange, `{"tls": bool, "data": base64}`; the answer is a line with the bytes that came
back and the requests that the application got meanwhile, as they came.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import sys
import threading

from tests.support.edge_lab import OWN, SETTINGS, Result, ask, certificate, configure, run, wait_until

END_STREAM, RST_STREAM, GOAWAY = 1, 3, 7
FRAME_HEADER = 9
APPLICATIONS = (("127.0.0.2", 81), ("10.0.0.11", 8080), ("10.0.0.12", 8080))
requests: list[str] = []


def record_exchanges() -> Result:
    """Serve exchanges until the input ends."""
    for address, port in APPLICATIONS:
        run(f"ip address add {address}/32 dev lo || true")
        threading.Thread(target=_serve, args=(address, port), daemon=True).start()
    configure(SETTINGS | {"client_rate": 20000, "secrets": {"certificate": certificate()}})
    wait_until(lambda: bool(ask("/-/health")[0] == 200))
    for line in sys.stdin:
        exchange = json.loads(line)
        requests.clear()
        try:
            answer = _exchange(base64.b64decode(exchange["data"]), tls=exchange["tls"])
        except OSError as error:
            answer = repr(error).encode()
        print(json.dumps({"answer": base64.b64encode(answer).decode(), "seen": requests}), flush=True)  # noqa: T201
    return {}


def _serve(address: str, port: int) -> None:
    server = socket.create_server((address, port), backlog=1000)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=_record, args=(connection,), daemon=True).start()


def _record(connection: socket.socket) -> None:
    """Record one request and answer it with 500; a health check of the edge gets 200."""
    with connection, connection.makefile("rb") as reader:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return
            head += line
        if b"x-request-id" not in head.lower():
            _reply(connection, 200)
            return
        requests.append(head.decode("latin-1"))
        lines = [line.partition(b": ") for line in head.lower().split(b"\r\n")]
        reader.read(sum(int(value) for name, _, value in lines if name == b"content-length"))
        _reply(connection, 500, "Cache-Control: max-age=9")


def _reply(connection: socket.socket, status: int, *headers: str) -> None:
    lines = "".join(f"{header}\r\n" for header in (*headers, "Content-Length: 0", "Connection: close"))
    connection.sendall(f"HTTP/1.1 {status} Answer\r\n{lines}\r\n".encode())


def _exchange(data: bytes, *, tls: bool) -> bytes:
    connection, answer = socket.create_connection((OWN, 443 if tls else 80), 10), b""
    if tls:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        connection = context.wrap_socket(connection)
    with connection:
        connection.sendall(data)
        while not (tls and _ends_stream(answer)) and (part := connection.recv(65536)):
            answer += part
    return answer


def _ends_stream(data: bytes) -> bool:
    """Return whether a frame of HTTP/2 (RFC 9113, 4.1) ends the only stream."""
    while len(data) >= FRAME_HEADER:
        length, kind, flags = int.from_bytes(data[:3]), data[3], data[4]
        if kind in (RST_STREAM, GOAWAY) or (kind in (0, 1) and flags & END_STREAM):
            return True
        data = data[FRAME_HEADER + length :]
    return False
