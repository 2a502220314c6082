"""The tool as its user runs it: ./cli.py with a home and environments of the test's own."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from yandex.cloud.compute.v1.instance_service_pb2 import StopInstanceRequest
from yandex.cloud.compute.v1.instance_service_pb2_grpc import InstanceServiceStub

from samovar.cli.context import Choice, Tool
from samovar.cli.status import read_and_check
from samovar.cloud.connection import Access
from samovar.cloud.local_admin import Host, pick
from samovar.cloud.local_daemon import find_or_start
from samovar.cloud.session import Session
from samovar.core.errors import SamovarError
from samovar.core.output import to_plain
from samovar.core.waiting import Pending, wait_for
from samovar.project.project import MARKER
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
    """Yield a cloud of its own in which `dev` is rolled out from that file; it is taken down afterwards."""
    tool = Cli(folder / "home", folder / "envs")
    tool.write("dev", config.read_text())
    try:
        tool.run("up", "dev", "--yes")
    except BaseException:
        collect_early(folder)
        tool.run("cloud", "down", check=False)
        raise
    try:
        yield tool
    finally:
        tool.discard()


def first_answer(ask: Callable[[], T]) -> T:
    """Return the first answer of a service, which may be away at first."""
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
    `prefix` precedes it. What a test merely looks at, `status` and alike, is read in this process by the code of the
    commands: a process for each look takes half a second of a processor.
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
        """Take the cloud down, and its home away: it holds a gigabyte that pytest would keep."""
        if self.run("cloud", "down", check=False).code == 0:
            shutil.rmtree(self.home, ignore_errors=True)

    def endpoint(self) -> Any:
        return json.loads((self.home / "endpoint.json").read_text())

    def session(self) -> Session:
        """Return a session of the operator, for calls that the tool has no command for."""
        ends = self.endpoint()
        return Session(
            Access(endpoint=ends["grpc"], folder_id=ends["folder_id"], ca=Path(ends["ca"]), token=ends["token"])
        )

    def stop(self, machine: str) -> None:
        """Stop a machine as an operator does in the cloud's console: the guest gets a signal, and has 30 seconds.

        Not waited for: the machine's group replaces it, which may end the operation before its end.
        """
        stub = self.session().client(InstanceServiceStub)
        stub.Stop(StopInstanceRequest(instance_id=self.instance_ids()[machine]))

    def instance_ids(self) -> dict[str, str]:
        """Return the ids of instances by the machines' names."""
        return {machine.name: machine.id for machine in self.host().machines()}

    def host(self) -> Host:
        """Return the admin API, which `cloud status` asks as well; a daemon that does not run is started."""
        return self._tool().host()

    def _tool(self) -> Tool:
        """Return a tool in this process that keeps its session with the daemon, which is started where none runs."""
        daemon, own = find_or_start(self.home), self.envs.parent
        if daemon.pid not in self._tools:
            self._tools.clear()
            choice = Choice(own if (own / MARKER).is_file() else self.root, self.envs)
            self._tools[daemon.pid] = Tool(self.home, choice=choice)
        return self._tools[daemon.pid]

    @cached_property
    def _tools(self) -> dict[int, Tool]:
        return {}

    def write(self, environment: str, text: str) -> None:
        folder = self.envs / environment
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(text)

    def edit(self, environment: str, old: str, new: str) -> None:
        """Change an environment's file as an operator does."""
        text = (self.envs / environment / "config.yaml").read_text()
        assert old in text
        self.write(environment, text.replace(old, new))

    def pid(self, machine: str) -> int:
        """Return the pid of a machine's init."""
        pid = pick(self.host().machines(), machine).pid
        assert pid
        return pid

    def address(self, environment: str, position: int = 0) -> str:
        """Wait until an environment is healthy; return where it answers over http, one address a balancer."""
        status = self.status_when(environment, lambda status: status["healthy"])
        return str(urlsplit(status["endpoints"]["http"][position]).netloc)

    def status(self, environment: str) -> Any:
        """Return what `status -o json` prints."""
        loaded, session = self._tool().open(environment)
        return to_plain(read_and_check(session, loaded))

    def status_when(self, environment: str, holds: Callable[[Any], bool], *, ceiling: float = 1.0) -> Any:
        """The first status that holds; `ceiling` is the longest pause between two looks, in seconds."""

        def status() -> Any:
            try:
                current = self.status(environment)
            except SamovarError as error:
                return Pending(str(error))
            return current if holds(current) else Pending(str(current))

        return wait_for(f"the status of {environment}", status, timeout=TIMEOUT, ceiling=ceiling)

    def wait_until_replaced(self, environment: str, machine: str, old: int, *, ceiling: float = 1.0) -> None:
        """Wait until all is healthy and a machine has another init than `old`.

        That it was unhealthy proves less: the first look may meet connections that were cut off with the machine, and
        the next one a cloud that has not noticed its end.
        """

        def is_replaced(status: Any) -> bool:
            machines = (each for group in status["groups"] for each in group["machines"] if each["name"] == machine)
            return bool(status["healthy"]) and next(machines)["pid"] not in {None, old}

        self.status_when(environment, is_replaced, ceiling=ceiling)

    def watched_when(self, environment: str, holds: Callable[[Any], bool]) -> Any:
        """The first status that holds of those that `status --watch` shows, which shows what changed."""

        def status() -> Any:
            current = None
            with closing(self._statuses(environment)) as statuses:
                for current in statuses:
                    if holds(current):
                        return current
            return Pending(str(current))

        return wait_for(f"the status of {environment}", status, timeout=TIMEOUT)

    def _statuses(self, environment: str) -> Generator[Any]:
        """Yield each status that `status --watch` shows, until it ends or the caller stops."""
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
