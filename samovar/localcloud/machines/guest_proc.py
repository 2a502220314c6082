"""The size that a guest sees: the kernel's files on memory and processors, written for the machine, not for its host.

The control groups hold the guest to its size; these files only tell it. Amounts beside the total stay as they were at
the start.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

GUEST_FILES = {"meminfo": "/proc/meminfo", "cpuinfo": "/proc/cpuinfo", "online": "/sys/devices/system/cpu/online"}

TASKS = 2048
"""Processes and threads that a machine may have at once; the kernel's own bound for a whole host is 32,768."""

_KERNEL_SHARE = 16  # about 1/16 of a small machine's memory is not free once it has booted


def meminfo(memory: int) -> str:
    """/proc/meminfo of a machine with `memory` bytes and no swap."""
    total = memory // 1024
    free = total - total // _KERNEL_SHARE
    amounts = {
        "MemTotal": total,
        "MemFree": free,
        "MemAvailable": free,
        **dict.fromkeys(("Buffers", "Cached", "SwapCached", "Active", "Inactive", "SwapTotal", "SwapFree", "Shmem"), 0),
        **dict.fromkeys(("Slab", "SReclaimable", "SUnreclaim"), 0),
    }
    return "".join(f"{name + ':':<15} {amount:>8} kB\n" for name, amount in amounts.items())


def cpuinfo(host: str, cores: int) -> str:
    """The host's /proc/cpuinfo cut to the first `cores` processors."""
    blocks = re.split(r"\n\n(?=processor\s*:)", host.rstrip("\n"))
    return "\n\n".join(blocks[:cores]) + "\n\n"


def online(cores: int) -> str:
    """/sys/devices/system/cpu/online of a machine with `cores` processors."""
    return "0\n" if cores == 1 else f"0-{cores - 1}\n"


def processors() -> list[int]:
    """The host's processors that we may use."""
    return sorted(os.sched_getaffinity(0))


def affinity(machine_id: str, cores: int, host: Sequence[int]) -> str:
    """The host's processors that a machine runs on, as nspawn wants them: machines are spread by their id."""
    first = zlib.crc32(machine_id.encode()) % len(host)
    turned = [*host[first:], *host[:first]]
    return ",".join(str(number) for number in sorted(turned[:cores]))


def write_guest_files(folder: Path, *, memory: int, cores: int) -> None:
    """Writes what the guest mounts over `GUEST_FILES`, each under its short name."""
    folder.mkdir(exist_ok=True)
    cores = min(cores, len(processors()))
    (folder / "meminfo").write_text(meminfo(memory))
    (folder / "cpuinfo").write_text(cpuinfo(Path("/proc/cpuinfo").read_text(), cores))
    (folder / "online").write_text(online(cores))
