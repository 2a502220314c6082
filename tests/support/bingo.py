"""The stub of bingo as a process: a file, its configuration and its log, all at the paths that it requires."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from images.bingo.stub.identity import log_folder, port
from samovar.core.waiting import Pending, wait_for
from samovar.images.load import load_images
from tests.support.checkout import PROJECT
from tests.support.ports import is_free

UID = 65534
TIMEOUT = 60.0
PROBE = "127.0.0.1:1"
"""Where it is refused at once; nothing here may try the address that it tries otherwise."""
# A mount namespace of its own has the paths; then it is bingo itself, under the number that was started.
START = """
mount --bind "$1" /opt
shift
exec setpriv --reuid=65534 --regid=65534 --clear-groups --pdeathsig KILL -- /opt/bingo/bingo "$@"
"""


@dataclass
class Bingo:
    """An installed stub; `folder` stands for /opt."""

    folder: Path
    email: str
    environ: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    @property
    def port(self) -> int:
        return port(self.email)

    @property
    def logs(self) -> Path:
        return self.folder / log_folder(self.email).relative_to("/opt")

    @property
    def _stderr(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.stderr")

    def complaints(self) -> str:
        """Return its stderr since it was started."""
        return self._stderr.read_text()

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.logs / "main.log").read_text().splitlines()]

    def command(self, *argv: str, netns: str = "") -> list[str]:
        within = ["ip", "netns", "exec", netns] if netns else []
        unshare = ["unshare", "--mount", "--propagation", "private", "bash", "-euc", START, "bash", str(self.folder)]
        return [*within, *unshare, *argv]

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.environ}
        return subprocess.run(
            self.command(*argv), env=environ, capture_output=True, text=True, check=False, timeout=TIMEOUT
        )

    def start(self) -> None:
        environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "BINGO_PROBE": PROBE, **self.environ}
        with self._stderr.open("w") as stderr:
            self.process = subprocess.Popen(
                self.command("run_server"), env=environ, stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        wait_for("bingo", self._alive, timeout=TIMEOUT, interval=0.05)

    def ask(self, path: str, method: str = "GET", body: object = None) -> tuple[int, str]:
        with self.asked(path, method, body) as response:
            return response.status, response.read().decode()

    @contextmanager
    def asked(self, path: str, method: str = "GET", body: object = None) -> Iterator[HTTPResponse]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            connection.request(method, path, body if body is None or isinstance(body, str) else json.dumps(body))
            yield connection.getresponse()
        finally:
            connection.close()

    def json(self, path: str, method: str = "GET", body: object = None) -> Any:
        status, text = self.ask(path, method, body)
        assert status == 200, text
        return json.loads(text)

    def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        assert self.process is not None
        return self.process.wait(TIMEOUT)

    def _alive(self) -> tuple[int, str] | Pending:
        assert self.process is not None
        assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.complaints()}"
        try:
            return self.ask("/ping")
        except (OSError, HTTPException) as error:
            return Pending(str(error))


@cache
def stub() -> bytes:
    """Return the stub as the image ships it."""
    application = load_images(PROJECT)["bingo"].application
    assert application
    return application.data


def make_bingo(folder: Path, *hosts: int, password: str = "", **environ: str) -> Bingo:
    """Install a stub and do not start it. `hosts` are ports of loopback where PostgreSQL may be."""
    email = next(email for number in count() if is_free(port(email := f"{os.getpid()}-{number}@example.com")))
    cluster = {
        "hosts": [{"address": "127.0.0.1", "port": number} for number in hosts or (1,)],
        "user": "bingo",
        "password": password,
        "db_name": "bingo",
        "ssl_mode": "disable",
        "use_closest_node": False,
    }
    installed = Bingo(folder, email, environ)
    (folder / "bingo").mkdir(parents=True)
    (folder / "bingo/bingo").write_bytes(stub())
    (folder / "bingo/bingo").chmod(0o755)
    (folder / "bingo/config.yaml").write_text(yaml.safe_dump({"student_email": email, "postgres_cluster": cluster}))
    installed.logs.mkdir(parents=True)
    os.chown(installed.logs, UID, UID)
    return installed


@contextmanager
def bingo(folder: Path, *hosts: int, password: str = "", **environ: str) -> Iterator[Bingo]:
    """Yield a stub that serves."""
    installed = make_bingo(folder, *hosts, password=password, **environ)
    try:
        installed.start()
        yield installed
    finally:
        if installed.process:
            installed.process.kill()
            installed.process.communicate()
