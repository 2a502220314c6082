"""A project by `init`: two commands from a program of one's own to machines that heal themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.http_load import get
from tests.support.tool import Cli

APP = """\
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


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    tool = Cli(tmp_path / "home", tmp_path / "shop/envs", prefix=("env", f"SAMOVAR_PROJECT={tmp_path / 'shop'}"))
    yield tool
    tool.run("cloud", "down", check=False)


def test_two_commands_lead_from_a_program_to_machines_that_heal_themselves(cli: Cli, tmp_path: Path) -> None:
    program = tmp_path / "api"
    program.write_text(APP)
    program.chmod(0o755)
    cli.run("init", str(tmp_path / "shop"), "--app", str(program), "--port", "8080", "--health", "/healthz")
    cli.run("up", "dev", "--yes")
    address = cli.address("dev")
    assert "hello from shop-" in get(address)
    before = {machine["name"]: machine["pid"] for machine in cli.json("status", "dev")["groups"][0]["machines"]}
    cli.run("cloud", "kill", "dev-shop-1")

    def healed(status: dict[str, object]) -> bool:
        groups = status["groups"]
        assert isinstance(groups, list)
        pids = {machine["name"]: machine["pid"] for machine in groups[0]["machines"]}
        return bool(status["healthy"]) and pids["dev-shop-1"] not in {None, before["dev-shop-1"]}

    cli.status_when("dev", healed)
    assert "hello from shop-" in get(address)
