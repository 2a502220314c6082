"""Freezes the file system of a machine's disk while it is copied, for a bounded time.

A disk that no file system is mounted from cannot be frozen; there it is proved that nothing was written meanwhile.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from samovar.core.errors import HostError
from samovar.localcloud.disks.freezer import FITHAW
from samovar.localcloud.disks.loop_devices import device_on

FREEZER = Path(__file__).with_name("freezer.py")
DEADLINE = 20.0
"""Seconds that a file system is frozen at the most; less than a machine's power cut may take (driver.KILL_TIMEOUT)."""
FREEZE_TIMEOUT = 60.0
"""Seconds in which a file system that is written to without pause must freeze."""
ESCAPED = re.compile(rb"\\([0-7]{3})")
TICK = 0.05
"""Seconds that are more than the step of the times of files."""


class FreezeFailed(HostError):
    """The disk was written to while it was copied, or its machine has just been started or stopped: try again."""


@dataclass
class Freeze:
    """A freeze in progress or past: its length in seconds; `lost` as soon as the disk may have been written to."""

    seconds: float = 0.0
    lost: bool = False


@dataclass(frozen=True)
class Mount:
    """A mounted file system by a path that leads to it from the host, and the number of its block device."""

    path: Path
    device: int


@asynccontextmanager
async def frozen(disk: Path, unit: Path, deadline: float = DEADLINE) -> AsyncIterator[Freeze]:
    """Keep the file `disk` unwritten while the context lasts; its machine has the cgroup2 folder `unit`.

    Raises FreezeFailed at its end where that did not hold, HostError where the file system cannot be frozen, or not
    for so long.
    """
    mount = mounted(disk, unit)
    async with _frozen_mount(mount, deadline) if mount else _unwritten(disk) as freeze:
        yield freeze


def mounted(disk: Path, unit: Path) -> Mount | None:
    """Return the place where one of a machine's processes has mounted the disk."""
    loop = device_on(disk)
    if loop is None:
        return None
    device = loop.stat().st_rdev
    number = f"{os.major(device)}:{os.minor(device)}"
    for pid, point in _mount_points(unit, number):
        return Mount(Path(f"/proc/{pid}/root{point}"), device)
    return None


def thaw(disk: Path, unit: Path) -> None:
    """Thaw a disk's file system where a freezer was killed; one that is not frozen stays as it is."""
    if mount := mounted(disk, unit):
        _thaw(mount)


def _thaw(mount: Mount) -> None:
    with suppress(OSError):
        root = os.open(mount.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(root).st_dev == mount.device:
                fcntl.ioctl(root, FITHAW, 0)
        finally:
            os.close(root)


def _mount_points(unit: Path, device: str) -> Iterator[tuple[int, str]]:
    """Yield a process of each mount namespace that has the device mounted, with the mount point."""
    checked = set()
    for pid in sorted(_processes(unit)):  # the oldest first: they stay
        with suppress(OSError):  # it has ended
            namespace = Path(f"/proc/{pid}/ns/mnt").readlink()
            if namespace not in checked:
                checked.add(namespace)
                yield from ((pid, point) for number, point in _mounts(pid) if number == device)


def _processes(unit: Path) -> Iterator[int]:
    for members in unit.rglob("cgroup.procs"):
        with suppress(OSError):  # the group is gone
            yield from map(int, members.read_text().split())


def _mounts(pid: int) -> Iterator[tuple[str, str]]:
    """Yield device number and mount point of each mount of a process: proc_pid_mountinfo(5)."""
    for line in Path(f"/proc/{pid}/mountinfo").read_bytes().splitlines():
        fields = line.split(b" ")
        point = ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), fields[4])
        yield fields[2].decode(), os.fsdecode(point)


@asynccontextmanager
async def _frozen_mount(mount: Mount, deadline: float) -> AsyncIterator[Freeze]:
    pipe = asyncio.subprocess.PIPE
    argv = (sys.executable, "-I", FREEZER, mount.path, str(mount.device), str(deadline))
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    assert process.stdin  # noqa: S101 - tells the type checker
    assert process.stdout  # noqa: S101
    freeze = Freeze()
    watched = asyncio.ensure_future(_watched(process, mount, freeze))
    try:
        frozen = await _is_frozen(process.stdout, mount)
        if frozen:
            yield freeze
    finally:
        process.stdin.close()
        complaint = await watched
    if not frozen:
        raise FreezeFailed(f"{mount.path} could not be frozen: {complaint}", remedy="stop the machine, and try again")
    if freeze.lost:
        raise _too_slow(deadline)


async def _is_frozen(stdout: asyncio.StreamReader, mount: Mount) -> bool:
    """Wait for the freezer's first word; return False where it ended without one."""
    try:
        async with asyncio.timeout(FREEZE_TIMEOUT):
            return await stdout.readline() == b"frozen\n"
    except TimeoutError as error:
        raise HostError(f"{mount.path} could not be frozen within {FREEZE_TIMEOUT:g} s") from error


def _too_slow(deadline: float) -> HostError:
    return HostError(
        f"the copy was not done within the {deadline:g} s that the file system may stand still",
        remedy="stop the machine for the time of the copy, or keep the home on XFS or btrfs, which copy in no time",
    )


async def _watched(process: asyncio.subprocess.Process, mount: Mount, freeze: Freeze) -> str:
    """Wait for the freezer's end, thaw what it froze if it was killed, and return its last complaint."""
    assert process.stdout  # noqa: S101
    assert process.stderr  # noqa: S101
    await process.wait()
    _thaw(mount)
    outcome, _, seconds = (await process.stdout.read()).decode().strip().rpartition("\n")[2].partition(" ")
    freeze.lost = outcome != "held"
    with suppress(ValueError):
        freeze.seconds = float(seconds)
    complaint = (await process.stderr.read()).decode(errors="replace").strip()
    return complaint.rpartition("\n")[2] or f"the freezer ended with {process.returncode}"


@asynccontextmanager
async def _unwritten(disk: Path) -> AsyncIterator[Freeze]:
    """Prove that nothing was written: a write changes the file's time, by the loop device or past it."""
    before = await asyncio.to_thread(_last_written, disk)
    await asyncio.sleep(TICK)
    yield Freeze()
    if await asyncio.to_thread(_last_written, disk) != before:
        raise FreezeFailed(
            f"{disk.name} was written to while it was copied: no file system that could be frozen is mounted from it",
            remedy="stop the machine for the time of the copy",
        )


def _last_written(disk: Path) -> int:
    """Return the time of the last write, once all that a machine wrote to the device is in the file."""
    if (loop := device_on(disk)) is not None:
        device = os.open(loop, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(device)
        finally:
            os.close(device)
    return disk.stat().st_mtime_ns
