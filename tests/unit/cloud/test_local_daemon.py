"""A daemon runs as long as its process holds the lock of its home."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path

import pytest

from samovar.cloud import local_daemon
from samovar.cloud.local_daemon import _not_started, _runs, is_on_host
from samovar.localcloud.home.numbers import claimed

LOOKS = 1500
LOCKS = 600


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Yield a home whose lock this process holds."""
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield tmp_path


@contextmanager
def changing_locks(folder: Path) -> Iterator[None]:
    """Hold many locks in another process, and release and take them again, as programs of two hundred machines do."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        with ExitStack() as files:
            opened = [files.enter_context((folder / f"file-{number}").open("w")) for number in range(LOCKS)]
            for file in opened:
                fcntl.flock(file, fcntl.LOCK_EX)
            os.write(write_end, b"x")
            for operation in cycle([fcntl.LOCK_UN, fcntl.LOCK_EX]):
                for file in reversed(opened):
                    fcntl.flock(file, operation)
    os.read(read_end, 1)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_who_holds_the_lock_of_a_home_is_its_daemon(home: Path) -> None:
    assert _runs(home, os.getpid())
    assert not _runs(home, os.getppid())
    (home / "lock").unlink()
    assert not _runs(home, os.getpid())


def test_a_process_that_has_ended_is_no_daemon(home: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert not _runs(home, child)


def test_a_daemon_runs_while_the_locks_of_others_come_and_go(home: Path) -> None:
    with changing_locks(home):
        assert all(_runs(home, os.getpid()) for _ in range(LOOKS))


def test_a_claim_that_is_released_while_claims_are_read_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link to nowhere is listed and cannot be read, as a file that is removed in between."""
    monkeypatch.setattr(local_daemon, "CLAIMS", tmp_path)
    (tmp_path / "7").symlink_to("nowhere")
    assert not is_on_host(tmp_path / "home")
    assert claimed(tmp_path / "home", tmp_path) is None


def test_a_daemon_that_did_not_start_on_a_full_disk_is_reported_with_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log cannot be written then, so its last lines are of another day, or none."""
    assert "full output" in _not_started(tmp_path, "ended with 1").remedy
    monkeypatch.setattr(local_daemon, "LEAST_SPACE", 1 << 62)
    refused = _not_started(tmp_path, "ended with 1")
    assert refused.message == f"no space is left on the disk of {tmp_path}, and the local cloud's daemon ended with 1"
    assert "make room there" in refused.remedy
