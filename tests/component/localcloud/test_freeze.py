"""A disk that is copied while a machine writes to it: of one moment, and never frozen for longer than it may be."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from samovar.core.errors import HostError
from samovar.core.process import run
from samovar.localcloud.disks import freeze
from samovar.localcloud.disks.builder import HostDiskBuilder
from samovar.localcloud.disks.freeze import Freeze, FreezeFailed, Mount, frozen, thaw
from samovar.localcloud.disks.loop_devices import attached
from tests.support.checkout import ROOT
from tests.support.writing_guest import Guest, counted, formatted, writing_guest

ATTEMPTS = 20
HOLDER = """
import asyncio, sys
from pathlib import Path
from samovar.localcloud.disks.freeze import frozen
async def hold():
    async with frozen(Path(sys.argv[1]), Path(sys.argv[2])):
        print("frozen", flush=True)
        await asyncio.sleep(600)
asyncio.run(hold())
"""


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    with writing_guest(tmp_path_factory.mktemp("guest")) as created:
        yield created


@asynccontextmanager
async def _nothing() -> AsyncIterator[Freeze]:
    yield Freeze()


def _in_step(copy: Path) -> bool:
    first, second = counted(copy)
    return first - second in {0, 1}


async def test_a_copy_of_a_disk_in_use_is_consistent(guest: Guest, tmp_path: Path) -> None:
    """And without the freeze it is not, sooner or later."""
    copy = tmp_path / "copy.raw"
    for _ in range(3):
        seconds = await HostDiskBuilder().copy_consistently(guest.disk, copy, frozen(guest.disk, guest.unit))
        assert 0 < seconds < freeze.DEADLINE
        run(["e2fsck", "-f", "-n", copy])
        assert _in_step(copy)
    for _ in range(ATTEMPTS):
        await HostDiskBuilder().copy_consistently(guest.disk, copy, _nothing())
        if not _in_step(copy):
            return
    pytest.fail(f"{ATTEMPTS} copies were of one moment without being frozen: this test proves nothing")


async def test_the_copy_has_the_changes_since_the_first_pass_and_keeps_holes(tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy.raw"
    with source.open("wb") as file:
        file.truncate(64 << 20)
        os.pwrite(file.fileno(), b"a" * (3 << 20), 5 << 20)

    @asynccontextmanager
    async def changing() -> AsyncIterator[Freeze]:
        with source.open("r+b") as file:
            os.pwrite(file.fileno(), b"b" * 100, (7 << 20) - 50)
            os.pwrite(file.fileno(), bytes(1 << 20), 5 << 20)
            os.pwrite(file.fileno(), b"c", (64 << 20) - 1)
            file.truncate((64 << 20) + 3)
        yield Freeze()

    await HostDiskBuilder().copy_consistently(source, copy, changing())
    assert copy.read_bytes() == source.read_bytes()
    assert copy.stat().st_blocks * 512 < 8 << 20


def _moves(guest: Guest, within: float = 5.0) -> bool:
    before, deadline = guest.count(), time.monotonic() + within
    while guest.count() == before and time.monotonic() < deadline:
        time.sleep(0.01)
    return guest.count() > before


@pytest.fixture
def holder(guest: Guest) -> Iterator[subprocess.Popen[str]]:
    """A daemon that holds the file system frozen."""
    argv = (sys.executable, "-c", HOLDER, str(guest.disk), str(guest.unit))
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "frozen\n"
    time.sleep(0.1)
    assert not _moves(guest, 0.5)
    yield process
    process.kill()
    process.wait(10)
    process.stdout.close()


def _freezer_of(process: subprocess.Popen[str]) -> int:
    (pid,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(pid)


def test_a_daemon_that_is_killed_leaves_nothing_frozen(guest: Guest, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    assert _moves(guest)


def test_the_freezer_heeds_no_signal_that_would_end_it(guest: Guest, holder: subprocess.Popen[str]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(_freezer_of(holder), number)
    assert not _moves(guest, 0.5)


def test_the_daemon_thaws_a_disk_that_a_killed_freezer_froze(guest: Guest, holder: subprocess.Popen[str]) -> None:
    os.kill(_freezer_of(holder), signal.SIGKILL)
    assert _moves(guest)


def test_the_next_daemon_thaws_after_both_were_killed(guest: Guest, holder: subprocess.Popen[str]) -> None:
    freezer = _freezer_of(holder)
    holder.send_signal(signal.SIGSTOP)
    os.kill(freezer, signal.SIGKILL)
    holder.kill()
    assert not _moves(guest, 0.5)
    thaw(guest.disk, guest.unit)
    assert _moves(guest)


async def test_a_copy_that_takes_too_long_is_given_up_and_the_machine_goes_on(guest: Guest) -> None:
    async def overdue() -> None:
        async with frozen(guest.disk, guest.unit, deadline=0.3) as attempt:
            before = guest.count()
            while not attempt.lost:  # noqa: ASYNC110 - as a copy looks at it
                await asyncio.sleep(0.01)
            assert await asyncio.to_thread(_moves, guest), before

    with pytest.raises(HostError, match="may stand still") as refused:
        await overdue()
    assert not isinstance(refused.value, FreezeFailed)


async def test_a_thawed_file_system_makes_no_snapshot(guest: Guest) -> None:
    async def thawed() -> None:
        async with frozen(guest.disk, guest.unit):
            thaw(guest.disk, guest.unit)

    with pytest.raises(HostError, match="may stand still"):
        await thawed()


async def test_no_other_file_system_is_frozen_in_the_place_of_the_disk() -> None:
    """Root in a machine can put a symbolic link in the place of its mount point."""

    async def elsewhere() -> None:
        async with freeze._frozen_mount(Mount(Path("/dev/shm"), 1), 1.0):  # noqa: S108 - one that cannot be frozen
            pytest.fail("frozen")

    with pytest.raises(FreezeFailed, match="is not on the disk"):
        await elsewhere()


@pytest.mark.parametrize("write", [True, False])
async def test_a_disk_without_a_file_system_must_not_be_written_to(tmp_path: Path, *, write: bool) -> None:
    disk = formatted(tmp_path / "disk.raw")
    (tmp_path / "unit").mkdir()

    async def copied(act: Callable[[], object]) -> None:
        async with frozen(disk, tmp_path / "unit"):
            act()

    with attached(disk) as device:
        if write:
            with pytest.raises(FreezeFailed, match="was written to"):
                await copied(lambda: device.write_bytes(b"x"))
        else:
            await copied(lambda: run(["head", "--bytes=4096", device]))
