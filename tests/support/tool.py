"""The tool as its user runs it: ./cli.py with a home and environments of the test's own."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from yandex.cloud.compute.v1.instance_service_pb2 import StopInstanceRequest
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub

from samovar.cloud.connection import Access
from samovar.cloud.session import Session
from samovar.core.waiting import Pending, wait_for
from tests.support.checkout import ROOT
from tests.support.failure_logs import collect_early
from tests.support.wait import wait_until

T = TypeVar("T")

EDGES = ROOT / "tests/envs/edges/config.yaml"
"""The smallest environment: nginx and nothing behind it."""
TIMEOUT = 600.0
"""Seconds for what takes seconds on a machine of today; the slowest machine that counts is 13 times slower."""


@contextmanager
def rolled_out(folder: Path, config: Path) -> Iterator[Cli]:
    """A cloud of its own with `dev`, from that file, rolled out in it; taken down afterwards."""
    tool = Cli(folder / "home", folder / "envs")
    tool.write("dev", config.read_text())
    try:
        tool.run("bake", "--env", "dev")
        tool.run("rollout", "dev", "--yes")
    except BaseException:
        collect_early(folder)
        tool.run("cloud", "down", check=False)
        raise
    try:
        yield tool
    finally:
        tool.discard()


def first_answer(ask: Callable[[], T]) -> T:
    """The first answer of a service, which may be away at first."""
    errors = OSError, http.client.HTTPException, AssertionError
    return wait_until("an answer", lambda: (ask(),), timeout=TIMEOUT, errors=errors)[0]


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Cli:
    """The tool with its options: `home` of the local cloud and the folder `envs`.

    `program` is started below `root`, the checkout, and in it, so its project is the one that is read.
    `prefix` precedes it.
    """

    home: Path
    envs: Path
    root: Path = ROOT
    prefix: tuple[str, ...] = ()
    program: str = "cli.py"

    def command(self, *arguments: str) -> list[str]:
        program = (*self.prefix, str(self.root / self.program))
        return [*program, "--home", str(self.home), "--envs", str(self.envs), *arguments]

    def run(self, *arguments: str, check: bool = True) -> Done:
        command = self.command(*arguments)
        ended = subprocess.run(command, cwd=self.root, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        assert not check or ended.returncode == 0, f"{' '.join(command)}: {ended.returncode}\n{ended.stderr}"
        return Done(ended.returncode, ended.stdout, ended.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on by itself and heeds Ctrl-C, although we may not; its stderr can be read."""
        command = ["env", "--default-signal=INT", *self.command(*arguments)]
        return subprocess.Popen(command, cwd=self.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "-o", "json").stdout)

    def discard(self) -> None:
        """Takes the cloud down, and its home away: it holds a gigabyte that pytest would keep."""
        if self.run("cloud", "down", check=False).code == 0:
            shutil.rmtree(self.home, ignore_errors=True)

    def endpoint(self) -> Any:
        return json.loads((self.home / "endpoint.json").read_text())

    def session(self) -> Session:
        """The operator's, for what the tool has no command for."""
        ends = self.endpoint()
        return Session(
            Access(endpoint=ends["grpc"], folder_id=ends["folder_id"], ca=Path(ends["ca"]), token=ends["token"])
        )

    def stop(self, machine: str) -> None:
        """As an operator does in the cloud's console: the guest is told, and has 30 seconds.

        Not waited for: the machine's group replaces it, which may end the operation before its end.
        """
        stub = self.session().client(InstanceServiceStub)
        stub.Stop(StopInstanceRequest(instance_id=self.instance_ids()[machine]))

    def instance_ids(self) -> dict[str, str]:
        """By the machines' names."""
        return {machine["name"]: machine["id"] for machine in self.json("cloud", "status")["machines"]}

    def write(self, environment: str, text: str) -> None:
        folder = self.envs / environment
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(text)

    def edit(self, environment: str, old: str, new: str) -> None:
        """Changes an environment's file as an operator does."""
        text = (self.envs / environment / "config.yaml").read_text()
        assert old in text
        self.write(environment, text.replace(old, new))

    def pid(self, environment: str, machine: str) -> int:
        """That of a machine's init."""
        groups = self.json("status", environment)["groups"]
        return next(int(actual["pid"]) for group in groups for actual in group["machines"] if actual["name"] == machine)

    def address(self, environment: str, position: int = 0) -> str:
        """Where a healthy environment answers over http, one address a balancer; waits until it is one."""
        status = self.status_when(environment, lambda status: status["healthy"])
        return str(urlsplit(status["endpoints"]["http"][position]).netloc)

    def status_when(self, environment: str, holds: Callable[[Any], bool]) -> Any:
        """The first status that holds, by what is in the status alone: it is judged again when it changes."""

        def status() -> Any:
            current = None
            with closing(self._statuses(environment)) as statuses:
                for current in statuses:
                    if holds(current):
                        return current
            return Pending(str(current))

        return wait_for(f"the status of {environment}", status, timeout=TIMEOUT)

    def _statuses(self, environment: str) -> Generator[Any]:
        """Each status that `status --watch` shows, until it ends or nobody asks for more."""
        command = ["timeout", str(TIMEOUT), *self.command("status", environment, "--watch", "-o", "json")]
        with subprocess.Popen(
            command, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as watch:
            try:
                assert watch.stdout
                text = ""
                for line in watch.stdout:
                    text += line
                    if line == "}\n":
                        yield json.loads(text)
                        text = ""
            finally:
                watch.terminate()
