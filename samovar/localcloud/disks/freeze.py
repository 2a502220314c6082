"""Lets a disk of a machine stand still while it is copied: its file system is frozen, for a while that is bounded.

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
PATIENCE = 60.0
"""Seconds in which a file system that is written to without pause must freeze."""
ESCAPED = re.compile(rb"\\([0-7]{3})")
TICK = 0.05
"""Seconds that are more than the step of the times of files."""


class NotStill(HostError):
    """The disk was written to while it was copied, or its machine has just been started or stopped: try again."""


@dataclass
class Standstill:
    """How long nothing could be written, in seconds; `lost` as soon as that does not hold any more."""

    seconds: float = 0.0
    lost: bool = False


@dataclass(frozen=True)
class Mount:
    """A mounted file system by a path that leads to it from the host, and the number of its block device."""

    path: Path
    device: int


@asynccontextmanager
async def still(disk: Path, unit: Path, deadline: float = DEADLINE) -> AsyncIterator[Standstill]:
    """Nothing is written to the file `disk`, of a machine with the cgroup2 folder `unit`, while the context lasts.

    Raises NotStill at its end where that did not hold, HostError where the file system cannot be frozen, or not for so
    long.
    """
    mount = mounted(disk, unit)
    async with _frozen(mount, deadline) if mount else _unwritten(disk) as standstill:
        yield standstill


def mounted(disk: Path, unit: Path) -> Mount | None:
    """Where a machine's processes have mounted a disk, whichever of them it is."""
    loop = device_on(disk)
    if loop is None:
        return None
    device = loop.stat().st_rdev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for pid, point in _mount_points(unit, wanted):
        return Mount(Path(f"/proc/{pid}/root{point}"), device)
    return None


def thaw(disk: Path, unit: Path) -> None:
    """Thaws a disk's file system, for a freezer that was killed; one that is not frozen stays as it is."""
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
    """Each process that sees the device mounted, with the place; one process of each mount namespace is asked."""
    asked = set()
    for pid in sorted(_processes(unit)):  # the oldest first: they stay
        with suppress(OSError):  # it is gone
            namespace = Path(f"/proc/{pid}/ns/mnt").readlink()
            if namespace not in asked:
                asked.add(namespace)
                yield from ((pid, point) for number, point in _mounts(pid) if number == device)


def _processes(unit: Path) -> Iterator[int]:
    for members in unit.rglob("cgroup.procs"):
        with suppress(OSError):  # the group is gone
            yield from map(int, members.read_text().split())


def _mounts(pid: int) -> Iterator[tuple[str, str]]:
    """Device number and mount point of each mount of a process: proc_pid_mountinfo(5)."""
    for line in Path(f"/proc/{pid}/mountinfo").read_bytes().splitlines():
        fields = line.split(b" ")
        point = ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), fields[4])
        yield fields[2].decode(), os.fsdecode(point)


@asynccontextmanager
async def _frozen(mount: Mount, deadline: float) -> AsyncIterator[Standstill]:
    pipe = asyncio.subprocess.PIPE
    argv = (sys.executable, "-I", FREEZER, mount.path, str(mount.device), str(deadline))
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    assert process.stdin  # noqa: S101 - tells the type checker
    assert process.stdout  # noqa: S101
    standstill = Standstill()
    watched = asyncio.ensure_future(_watched(process, mount, standstill))
    try:
        async with asyncio.timeout(PATIENCE):
            frozen = await process.stdout.readline() == b"frozen\n"
        if frozen:
            yield standstill
    except TimeoutError as error:
        raise HostError(f"{mount.path} could not be frozen within {PATIENCE:g} s") from error
    finally:
        process.stdin.close()
        said = await watched
    if not frozen:
        raise NotStill(f"{mount.path} could not be frozen: {said}", remedy="stop the machine, and try again")
    if standstill.lost:
        raise HostError(
            f"the copy was not done within the {deadline:g} s that the file system may stand still",
            remedy="stop the machine for the time of the copy, or keep the home on XFS or btrfs, which copy in no time",
        )


async def _watched(process: asyncio.subprocess.Process, mount: Mount, standstill: Standstill) -> str:
    """Waits for the freezer's end; one that was killed has not thawed what it froze. Returns what it complained of."""
    assert process.stdout  # noqa: S101
    assert process.stderr  # noqa: S101
    await process.wait()
    _thaw(mount)
    word, _, seconds = (await process.stdout.read()).decode().strip().rpartition("\n")[2].partition(" ")
    standstill.lost = word != "held"
    with suppress(ValueError):
        standstill.seconds = float(seconds)
    complaint = (await process.stderr.read()).decode(errors="replace").strip()
    return complaint.rpartition("\n")[2] or f"the freezer ended with {process.returncode}"


@asynccontextmanager
async def _unwritten(disk: Path) -> AsyncIterator[Standstill]:
    """Each write changes the file's time, by the loop device or past it."""
    before = await asyncio.to_thread(_last_written, disk)
    await asyncio.sleep(TICK)
    yield Standstill()
    if await asyncio.to_thread(_last_written, disk) != before:
        raise NotStill(
            f"{disk.name} was written to while it was copied: no file system that could be frozen is mounted from it",
            remedy="stop the machine for the time of the copy",
        )


def _last_written(disk: Path) -> int:
    """When the file was, once all that a machine wrote to the device is in it."""
    if (loop := device_on(disk)) is not None:
        device = os.open(loop, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(device)
        finally:
            os.close(device)
    return disk.stat().st_mtime_ns
