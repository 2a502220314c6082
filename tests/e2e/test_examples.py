"""The projects of examples/, as their pages tell it: made, asked, healed under load, and removed.

The commands are those of each page. Nothing comes from outside but packages: the OCI image is made of them, and served
by Debian's registry.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.checkout import ROOT
from tests.support.documentation import shell_blocks
from tests.support.go import go_path
from tests.support.http_load import HttpLoad, Kind, get, http_load
from tests.support.oci import registry
from tests.support.tool import TIMEOUT, Cli, first_answer

pytestmark = pytest.mark.long

REGISTRY = "registry.example.org"
USER_TIMEOUT = 60.0
"""Seconds that a user waits for an answer on a loaded host."""


@dataclass(frozen=True)
class Example:
    """An example that is rolled out: its tool, and the name of its environment, which it shares with no other one.

    `follow` runs a block of commands of its page, by its position.
    """

    cli: Cli
    environment: str
    follow: Callable[[int], None]

    @property
    def address(self) -> str:
        """Return the public address: the last one that `up` prints."""
        return self.cli.address(self.environment, -1)

    def heal(self, machine: str) -> float:
        """Cut the power of a machine, and wait until another one is in its place; return the seconds until then."""
        before, began = self.cli.pid(machine), time.monotonic()
        self.cli.run("cloud", "kill", machine)
        self.cli.wait_until_replaced(self.environment, machine, before)
        return time.monotonic() - began

    def heal_under_load(self, machine: str, *kinds: Kind) -> HttpLoad:
        """Heal under 50 requests a second that are safe to repeat, none of which may fail."""
        with http_load(self.address, *kinds, rate=50, timeout=USER_TIMEOUT) as load:
            seconds = self.heal(machine)
        print(load.summary(f"{machine} killed, whole after {seconds:.1f} s"))  # noqa: T201
        assert load.failed == []
        return load


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home of the one cloud."""
    cli = Cli(tmp_path_factory.mktemp("examples") / "home", ROOT / "envs")
    try:
        yield cli.home
    finally:
        cli.discard()


@contextmanager
def rolled_out(home: Path, name: str, environment: str, project: str, **variables: str) -> Iterator[Example]:
    """Follow the page of a copy of the example, to its end afterwards."""
    folder = home.parent / name
    shutil.copytree(ROOT / "examples" / name, folder, ignore=shutil.ignore_patterns("build"))
    samovar = home.parent / "bin/samovar"
    samovar.parent.mkdir(exist_ok=True)
    samovar.write_text(f'#!/bin/sh\nexec "{ROOT}/cli.py" --home "{home}" "$@"\n')
    samovar.chmod(0o755)
    variables = {"PATH": os.environ["PATH"], **variables}
    variables["PATH"] = f"{samovar.parent}:{variables['PATH']}"
    blocks, inside = shell_blocks(folder / "README.md"), ("env", "--chdir", str(folder / project))
    cli = Cli(home, folder / project / "envs", prefix=inside)
    example = Example(cli, environment, lambda block: paste(blocks[block], folder / project, variables))
    began = time.monotonic()
    paste(blocks[0], folder, variables)
    first_answer(lambda: get(example.address))
    print(f"{name}: the first answer after {time.monotonic() - began:.1f} s")  # noqa: T201
    yield example
    assert cli.json("plan", environment)["steps"] == []
    example.follow(-1)
    assert cli.json("cloud", "status")["machines"] == []


def paste(commands: str, folder: Path, variables: dict[str, str]) -> None:
    """Run the commands in a shell, as somebody does who pastes them, with the registry that is there."""
    address = variables.get("REGISTRY", REGISTRY)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands.replace(REGISTRY, address)],
        cwd=folder,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"


def test_binary_answers_while_one_of_its_machines_dies(home: Path) -> None:
    with rolled_out(home, "go-binary", "hello", "build/hello", PATH=go_path(home.parent)) as hello:
        assert "hello from hello-" in get(hello.address)
        hello.heal_under_load("hello-hello-1")


def test_web_application_answers_while_its_machines_die_and_keeps_its_rows(home: Path) -> None:
    with ExitStack() as stack:
        served, certificate = stack.enter_context(registry(home.parent))
        variables = {"REGISTRY": served, "SSL_CERT_FILE": str(certificate)}
        guestbook = stack.enter_context(rolled_out(home, "web-postgres", "guestbook", "build/guestbook", **variables))
        assert first_answer(lambda: put(guestbook.address, "/first")) == ["first"]
        guestbook.follow(1)
        first_answer(lambda: get(guestbook.address))
        load = guestbook.heal_under_load("guestbook-guestbook-1")
        assert [*load.bodies] == ['["first"]']
        guestbook.heal("guestbook-database-1")
        assert first_answer(lambda: put(guestbook.address, "/second")) == ["first", "second"]


def put(address: str, path: str) -> Any:
    """Send a request that is answered with the entries; raises as `get` does."""
    with closing(http.client.HTTPConnection(address, timeout=USER_TIMEOUT)) as connection:
        connection.request("PUT", path)
        response = connection.getresponse()
        body = response.read()
    assert response.status == 200, body
    return json.loads(body)


def test_workers_finish_all_jobs_while_one_of_them_and_their_redis_die(home: Path) -> None:
    numbers = Kind("/", "%d")
    with rolled_out(home, "worker-redis", "squares", ".") as squares:
        load = squares.heal_under_load("squares-worker-1", numbers, Kind("/"))
        sent = {answer.number for answer in load.of(numbers)}
        assert first_answer(lambda: all_squared(squares.address, len(sent)))
        squares.heal("squares-redis-1")
        last = max(sent)
        assert first_answer(lambda: get(squares.address, f"/{last}")) == str(last**2)


def all_squared(address: str, count: int) -> bool:
    assert get(address) == f"{count} squares"
    return True
