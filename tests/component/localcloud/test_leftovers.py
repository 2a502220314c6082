"""The check that a cloud has left nothing finds each thing that one could leave, by its home or by its number."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from samovar.core.process import run
from samovar.localcloud.disks.loop_devices import attached
from tests.support.leftovers import leftovers
from tests.support.network_lab import NetworkLab, network

NOWHERE = Path("/no-such-home")
NUMBER = 250
"""No cloud has it."""
PREFIX = f"samovar-{NUMBER}"


async def test_only_the_leftovers_of_one_cloud_are_listed(lab: NetworkLab) -> None:
    prefix = f"samovar-{lab.number}"
    assert leftovers(NOWHERE, prefix) == []
    await lab.fabric.apply(network(10, forwards=(lab.balancer(10),)))
    actual = leftovers(NOWHERE, prefix)
    assert f"link smv{lab.number}h1" in actual
    assert f"network namespace {prefix}-1" in actual
    assert [line for line in actual if line.startswith(f"route {lab.public(5)} ")]
    assert leftovers(NOWHERE, prefix[:-1]) == []


@contextmanager
def _process(home: Path, *before: str) -> Iterator[None]:
    """One that names the home; it has begun once it has said so."""
    program = f"print(flush=True); import sys; sys.stdin.read()  # {home}"
    with subprocess.Popen([*before, sys.executable, "-c", program], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        yield
        process.stdin.close()


@contextmanager
def _mount(home: Path) -> Iterator[None]:
    """Make a mount in a namespace of its own, which a look at this process alone does not show."""
    mounts = f'mount -t tmpfs none "{home}" && exec "$@"'
    with _process(Path("/elsewhere"), "unshare", "--mount", "sh", "-c", mounts, "sh"):
        yield


@contextmanager
def _loop(home: Path) -> Iterator[None]:
    file = home / "disk.raw"
    file.write_bytes(bytes(1 << 20))
    with attached(file):
        yield


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    """A control group is a folder as well."""
    path.mkdir(parents=True)
    try:
        yield
    finally:
        path.rmdir()


@contextmanager
def _file(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    try:
        yield
    finally:
        path.unlink()


@contextmanager
def _link(name: str) -> Iterator[None]:
    run(["ip", "link", "add", name, "type", "bridge"])
    try:
        yield
    finally:
        run(["ip", "link", "del", name])


@contextmanager
def _namespace(name: str) -> Iterator[None]:
    run(["ip", "netns", "add", name])
    try:
        yield
    finally:
        run(["ip", "netns", "del", name])


@contextmanager
def _route(address: str) -> Iterator[None]:
    run(["ip", "route", "add", "blackhole", address])
    try:
        yield
    finally:
        run(["ip", "route", "del", "blackhole", address])


def _group() -> Path:
    """Return the path of a control group, in a hierarchy of version 1 or in the only one."""
    root = Path("/sys/fs/cgroup")
    return (root / "pids" if (root / "pids").is_dir() else root) / PREFIX


@pytest.mark.parametrize(
    "what",
    ["process", "mount", "loop device", "control group", "network namespace", "link", "route", "claim", "nspawn"],
)
def test_each_planted_leftover_is_listed(what: str) -> None:
    with tempfile.TemporaryDirectory(prefix="samovar-leftovers-") as folder, ExitStack() as planted:
        home = Path(folder)
        plants: dict[str, Callable[[], AbstractContextManager[None]]] = {
            "process": lambda: _process(home),
            "mount": lambda: _mount(home),
            "loop device": lambda: _loop(home),
            "control group": lambda: _folder(_group()),
            "network namespace": lambda: _namespace(f"{PREFIX}-1"),
            "link": lambda: _link(f"smv{NUMBER}h1"),
            "route": lambda: _route(f"127.66.{NUMBER}.1"),
            "claim": lambda: _file(Path("/run/samovar") / str(NUMBER)),
            "nspawn": lambda: _folder(Path("/run/systemd/nspawn/propagate") / f"{PREFIX}-x"),
        }
        assert leftovers(home, PREFIX) == []
        planted.enter_context(plants[what]())
        actual = leftovers(home, PREFIX)
        assert actual
        assert all(line.startswith(what) for line in actual), actual
        planted.close()
        assert leftovers(home, PREFIX) == []
