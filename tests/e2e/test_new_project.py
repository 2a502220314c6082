"""A project by `init`: two commands from a program of one's own to machines that heal themselves."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from samovar.images.zipapp import build_zipapp
from samovar.project.application import Zipapp
from tests.support.http_load import get
from tests.support.tool import Cli, first_answer

GREETER = """\
#!/usr/bin/python3
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in ("/", "/healthz") else 404)
        self.end_headers()
        self.wfile.write(f"hello from {os.uname().nodename}".encode())

HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
# Keeps what it is sent: each request has a connection of its own to the database.
KEEPER = """\
import json, os, ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit
from pg8000.native import Connection

def ask(statement, **values):
    url = urlsplit(os.environ["DATABASE_URL"])
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    login = url.username, url.hostname, url.path[1:], url.port, unquote(url.password)
    with Connection(*login, ssl_context=context, timeout=5) as connection:
        connection.run("CREATE TABLE IF NOT EXISTS kept (text text PRIMARY KEY)")
        return connection.run(statement, **values)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer([row[0] for row in ask("SELECT text FROM kept")] if self.path == "/kept" else "well")

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.answer(ask("INSERT INTO kept VALUES (:text) ON CONFLICT DO NOTHING", text=text))

    def answer(self, document):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

def main(arguments):
    ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
LIBRARIES = ("asn1crypto", "pg8000", "python-dateutil", "scramp")


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    tool = Cli(tmp_path / "home", tmp_path / "shop/envs", prefix=("env", f"SAMOVAR_PROJECT={tmp_path / 'shop'}"))
    yield tool
    tool.run("cloud", "down", check=False)


def program(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    file.chmod(0o755)
    return file


def keeper(folder: Path) -> Path:
    package = folder / "keeper"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "main.py").write_text(KEEPER)
    zipapp = Zipapp(source="keeper", main="keeper.main:main", libraries=LIBRARIES)
    return program(folder / "api", build_zipapp(package, zipapp))


def pid(status: Any, name: str) -> int | None:
    machines = {each["name"]: each for group in status["groups"] for each in group["machines"]}
    return machines[name]["pid"] and int(machines[name]["pid"])


def heal(cli: Cli, machine: str) -> None:
    """Cut the power of a machine, and wait until another one is in its place."""
    before = pid(cli.json("status", "dev"), machine)
    cli.run("cloud", "kill", machine)
    cli.status_when("dev", lambda status: status["healthy"] and pid(status, machine) not in {None, before})


def call(address: str, path: str, text: str | None = None) -> Any:
    with closing(http.client.HTTPConnection(address, timeout=30)) as connection:
        connection.request("POST" if text else "GET", path, text)
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, body
        return json.loads(body)


def test_two_commands_lead_from_a_program_to_machines_that_heal_themselves(cli: Cli, tmp_path: Path) -> None:
    began = time.monotonic()
    api = program(tmp_path / "api", GREETER.encode())
    cli.run("init", str(tmp_path / "shop"), "--app", str(api), "--port", "8080", "--health", "/healthz")
    cli.run("up", "dev", "--yes")
    address = cli.address("dev")
    assert "hello from shop-" in first_answer(lambda: get(address))
    print(f"a program: the first answer after {time.monotonic() - began:.1f} s")  # noqa: T201
    heal(cli, "dev-shop-1")
    assert "hello from shop-" in get(address)


def test_what_a_program_keeps_in_its_database_outlives_the_database_s_machine(cli: Cli, tmp_path: Path) -> None:
    began = time.monotonic()
    api = keeper(tmp_path)
    cli.run("init", str(tmp_path / "shop"), "--app", str(api), "--port", "8080", "--health", "/healthz", "--database")
    cli.run("up", "dev", "--yes")
    address = cli.address("dev")
    first_answer(lambda: call(address, "/kept", "a row"))
    print(f"a program with a database: the first row after {time.monotonic() - began:.1f} s")  # noqa: T201
    assert call(address, "/kept") == ["a row"]
    heal(cli, "dev-database-1")
    assert first_answer(lambda: call(address, "/kept")) == ["a row"]
    first_answer(lambda: call(address, "/kept", "another"))
    assert {*call(address, "/kept")} == {"a row", "another"}
    assert cli.json("plan", "dev")["steps"] == []
