"""Bounds of the daemon against a user of the host without a token, who holds many silent connections."""

from __future__ import annotations

import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.remote_user import AS_UNPRIVILEGED
from tests.support.tool import Cli

MANY = 1200
SOFT = 1024
"""What most hosts give a process to begin with."""
HOLD = """
import resource, socket, sys
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
held = []
for _ in range(count):
    held.append(socket.socket())
    held[-1].settimeout(5)
    try:
        held[-1].connect((host, port))
    except OSError:
        pass
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A daemon that was started with few descriptors."""
    folder = tmp_path_factory.mktemp("limits")
    tool = Cli(folder / "home", folder / "envs")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, hard))
    try:
        tool.run("cloud", "up")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    yield tool
    tool.run("cloud", "down", check=False)


@contextmanager
def held(address: str, count: int) -> Iterator[None]:
    host, _, port = address.partition(":")
    command = [*AS_UNPRIVILEGED, "/usr/bin/python3", "-I", "-c", HOLD, host, port, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/") as user:
        assert user.stdout
        assert user.stdin
        assert user.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            user.stdin.close()
            user.wait(30)


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.parametrize("port", ["rest", "grpc"])
def test_silent_connections_of_one_user_block_no_other(cli: Cli, port: str) -> None:
    endpoint = cli.endpoint()
    before = descriptors(endpoint["pid"])
    with held(endpoint[port], MANY):
        time.sleep(1)  # gRPC's are looked at twice a second
        began = time.monotonic()
        assert cli.json("cloud", "status")["running"]
        cli.json("images")
        print(f"{descriptors(endpoint['pid'])} descriptors, answers in {time.monotonic() - began:.1f} s")  # noqa: T201
        assert descriptors(endpoint["pid"]) < before + 200
    assert (cli.home / "daemon.log").stat().st_size < 100_000


def test_the_daemon_has_all_the_descriptors_that_it_may_have(cli: Cli) -> None:
    limits = Path(f"/proc/{cli.endpoint()['pid']}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
    soft, hard = line.split()[3:5]
    assert soft == hard
