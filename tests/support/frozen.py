"""A machine in small: processes in a mount namespace of their own, with an ext4 file system on a loop device."""

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
# It counts in two places, and syncs each: at no moment is the second one ahead, nor more than one behind.
WRITER = """
import os, sys
size, number = int(sys.argv[1]), 0
file = os.open("/mnt/counters", os.O_RDWR | os.O_CREAT)
os.write(file, b"0" * 9 + os.urandom(size) + b"0" * 9)
os.fsync(file)
print("ready", flush=True)
while True:
    number += 1
    for place in (0, size + 9):
        os.pwrite(file, b"%09d" % number, place)
        os.fdatasync(file)
"""
# Both die with the test.
INSIDE = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private")
MOUNT = 'mount -o noatime "$1" /mnt; shift; exec "$@"'
READ = 'mount -o loop "$1" /mnt; head -c 9 /mnt/counters; echo; tail -c 9 /mnt/counters'


@dataclass(frozen=True)
class Guest:
    """`unit` is what a machine's control group is to whoever looks for its processes."""

    disk: Path
    unit: Path
    pid: int

    def count(self) -> int:
        """How far the writer is."""
        with Path(f"/proc/{self.pid}/root/mnt/counters").open("rb") as counters:
            return int(counters.read(9))


@contextmanager
def writing_guest(folder: Path) -> Iterator[Guest]:
    """One that writes without end."""
    disk, unit = formatted(folder / "disk.raw"), folder / "unit"
    unit.mkdir()
    with attached(disk) as device:
        writer = (sys.executable, "-c", WRITER, str(BALLAST))
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
    """What a copy of the guest's disk holds, once its journal is replayed."""
    first, second = run([*INSIDE, "bash", "-euc", READ, "bash", copy]).stdout.split()
    return int(first), int(second)
