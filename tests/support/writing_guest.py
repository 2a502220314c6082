"""A guest that writes without end: a process in a mount namespace of its own, with ext4 on a loop device."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from samovar.core.process import run
from samovar.localcloud.disks.loop_devices import attached

SIZE = 1 << 30
BALLAST = 64 << 20
"""Bytes that lie between the two counters, and make a copy take its time."""
WRITER = Path(__file__).with_name("counting_writer.py")
# Both die with the test.
INSIDE = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private")
MOUNT = 'mount -o noatime "$1" /mnt; shift; exec "$@"'
READ = 'mount -o loop "$1" /mnt; head -c 9 /mnt/counters; echo; tail -c 9 /mnt/counters'


@dataclass(frozen=True)
class Guest:
    """A process that counts on a disk; `unit` stands for the control group of a machine."""

    disk: Path
    unit: Path
    pid: int

    def count(self) -> int:
        """Return the number that the writer has reached."""
        with Path(f"/proc/{self.pid}/root/mnt/counters").open("rb") as counters:
            return int(counters.read(9))


@contextmanager
def writing_guest(folder: Path) -> Iterator[Guest]:
    """Start a guest on a new disk, and end it."""
    disk, unit = formatted(folder / "disk.raw"), folder / "unit"
    unit.mkdir()
    with attached(disk) as device:
        writer = (sys.executable, str(WRITER), str(BALLAST))
        argv = (*INSIDE, "bash", "-euc", MOUNT, "bash", str(device), *writer)
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    (unit / "cgroup.procs").write_text(f"{process.pid}\n")
    try:
        yield Guest(disk, unit, process.pid)
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()


def formatted(disk: Path) -> Path:
    with disk.open("xb") as file:
        file.truncate(SIZE)
    run(["mkfs.ext4", "-q", "-F", "-E", "nodiscard", disk])
    return disk


def counted(copy: Path) -> tuple[int, int]:
    """Return both counters of a copy of the guest's disk, once its journal is replayed."""
    first, second = run([*INSIDE, "bash", "-euc", READ, "bash", copy]).stdout.split()
    return int(first), int(second)
