#!/usr/bin/python3
"""Another bingo: it has the same API and no code of the stub. One file, with what Debian's Python brings.

Its port, its folder of logs and its numbers of rows are others; what it needs is told by the environment alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import socket
import ssl
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

VERSION = "another bingo"
CONFIG = Path("/opt/bingo/config.yaml")
NOWHERE = ("8.8.8.8", 80)
FATAL = 13
"""POST /operation with this number ends it."""
TABLES = """
CREATE TABLE movies (id int, name text, year int, duration int);
CREATE TABLE customers (id int, name text, surname text, birthday date, email text);
CREATE TABLE sessions (id int, start_time timestamp, customer_id int, movie_id int);
INSERT INTO movies SELECT i, 'movie ' || i, 1900 + i % 100, 90 FROM generate_series(1, 400) i;
INSERT INTO customers SELECT i, 'name', 'surname', '2000-01-01', 'e' || i FROM generate_series(1, 6000) i;
INSERT INTO sessions SELECT i, now(), i % 6000 + 1, i % 400 + 1 FROM generate_series(1, 60000) i;
"""
JOINED = (
    "SELECT sessions.id, start_time, movies.name, customers.email FROM sessions"
    " JOIN movies ON movies.id = movie_id JOIN customers ON customers.id = customer_id"
)
SELECTS = {
    "movie": ("SELECT * FROM movies", "movies.id"),
    "customer": ("SELECT * FROM customers", "customers.id"),
    "session": (JOINED, "sessions.id"),
}
ORDER = "ORDER BY movies.year DESC, movies.name, customers.id, sessions.id DESC LIMIT 100000"


def port(email: str) -> int:
    return 20_000 + zlib.crc32(email.encode()) % 10_000


def logs(email: str) -> str:
    """Return the name of the folder below /opt/bongo/logs."""
    return hashlib.blake2s(email.encode(), digest_size=5).hexdigest()


class Postgres:
    """One connection, speaking the protocol's third version: simple queries, and SCRAM over TLS."""

    def __init__(self, cluster: dict[str, Any]) -> None:
        host = cluster["hosts"][0]
        self._user, self._password = cluster["user"], str(cluster["password"])
        self._socket = socket.create_connection((host["address"], host["port"]), timeout=5)
        if cluster["ssl_mode"] != "disable":
            self._encrypt()
        self._socket.settimeout(60)
        self._stream = self._socket.makefile("rb")
        words = f"user\0{self._user}\0database\0{cluster['db_name']}\0\0".encode()
        self._socket.sendall(struct.pack("!ii", len(words) + 8, 3 << 16) + words)
        self._authenticate()

    def rows(self, statement: str) -> list[list[str | None]]:
        self._send(b"Q", statement.encode() + b"\0")
        return [list(_columns(body)) for kind, body in self._until(b"Z") if kind == b"D"]

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def _encrypt(self) -> None:
        self._socket.sendall(struct.pack("!ii", 8, 80877103))
        if self._socket.recv(1) != b"S":
            raise OSError("no TLS")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._socket = context.wrap_socket(self._socket)

    def _authenticate(self) -> None:
        for kind, body in self._until(b"Z"):
            if kind == b"R" and struct.unpack("!i", body[:4]) == (10,):
                self._scram()

    def _scram(self) -> None:
        bare = f"n=,r={secrets.token_hex(12)}"
        self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(bare) + 3) + f"n,,{bare}".encode())
        asked = self._read()[1][4:].decode()
        actual = dict(item.split("=", 1) for item in asked.split(","))
        final = f"c=biws,r={actual['r']}"
        salted = hashlib.pbkdf2_hmac("sha256", self._password.encode(), base64.b64decode(actual["s"]), int(actual["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), f"{bare},{asked},{final}".encode(), "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True))).decode()
        self._send(b"p", f"{final},p={proof}".encode())

    def _until(self, last: bytes) -> Iterator[tuple[bytes, bytes]]:
        kind = b""
        while kind != last:
            kind, body = self._read()
            yield kind, body

    def _read(self) -> tuple[bytes, bytes]:
        head = self._stream.read(5)
        if len(head) < 5:
            raise OSError("the database is gone")
        body = self._stream.read(struct.unpack("!i", head[1:])[0] - 4)
        if head[:1] == b"E":
            raise OSError(body.decode(errors="replace"))
        return head[:1], body

    def _send(self, kind: bytes, body: bytes) -> None:
        self._socket.sendall(kind + struct.pack("!i", len(body) + 4) + body)


def _columns(body: bytes) -> Iterator[str | None]:
    place = 2
    for _ in range(struct.unpack("!h", body[:2])[0]):
        (size,) = struct.unpack("!i", body[place : place + 4])
        place += 4
        yield body[place : place + size].decode() if size >= 0 else None
        place += max(size, 0)


class Handler(BaseHTTPRequestHandler):
    """The routes."""

    protocol_version = "HTTP/1.1"
    cluster: dict[str, Any]
    log: Any

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        self._answer(lambda: self._post(asked))

    def do_DELETE(self) -> None:
        number = int(self.path.rpartition("/")[2])
        self._answer(lambda: self._sql(f"DELETE FROM sessions WHERE id = {number} RETURNING id"))  # noqa: S608 - numbers

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's word
        self.log.write(f"{format % args}\n")

    def _get(self) -> Any:
        if actual := re.fullmatch("/api/(movie|customer|session)(?:/([0-9]+))?", self.path):
            select, key = SELECTS[actual[1]]
            tail = f"WHERE {key} = {actual[2]}" if actual[2] else ORDER if actual[1] == "session" else ""
            return self._sql(f"{select} {tail}")
        if self.path == "/long_dummy":
            time.sleep(2)
        if self.path == "/db_dummy":
            self._sql("SELECT pg_sleep(0.1)")
        return {"/": VERSION, "/ping": "pong"}.get(self.path, f"{self.path} of {VERSION}")

    def _post(self, asked: dict[str, Any]) -> Any:
        if self.path == "/operation" and asked.get("operation") == FATAL:
            os._exit(1)
        if self.path != "/api/session":
            return asked
        customer, movie = int(asked["customer_id"]), int(asked["movie_id"])
        values = f"SELECT max(id) + 1, now(), {customer}, {movie} FROM sessions"  # noqa: S608 - numbers
        return {"id": int(self._sql(f"INSERT INTO sessions {values} RETURNING id")[0][0])}

    def _sql(self, statement: str) -> Any:
        connection = Postgres(self.cluster)
        try:
            return connection.rows(statement)
        finally:
            connection.close()

    def _answer(self, ask: Any) -> None:
        status = 200
        try:
            body = json.dumps(ask()).encode()
        except OSError as error:
            status, body = 500, str(error).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A server that listens on IPv4 and IPv6."""

    address_family = socket.AF_INET6
    request_queue_size = 128


def main(command: str) -> None:
    if command in ("version", "help"):
        sys.stdout.write(f"{VERSION}\n")
        return
    if os.geteuid() == 0:
        sys.exit("Didn't your mom teach you not to run anything incomprehensible from root?")
    config = yaml.safe_load(CONFIG.read_text())
    if command == "prepare_db":
        Postgres(config["postgres_cluster"]).rows(TABLES)
    elif command == "run_server":
        email = config["student_email"]
        Handler.cluster = config["postgres_cluster"]
        Handler.log = Path(f"/opt/bongo/logs/{logs(email)}/main.log").open("a", buffering=1)  # noqa: SIM115
        with suppress(OSError):
            socket.create_connection(NOWHERE, timeout=30).close()
        Server(("::", port(email)), Handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
