"""Reads, writes, empties and removes control groups (cgroup2), which hold the processes of machines."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_BUSY_TIMEOUT = 0.5  # seconds that a group may stay busy after its last process ended


def populated(group: Path) -> bool:
    """Return whether any process is in the group or below it."""
    try:
        return "populated 1" in (group / "cgroup.events").read_text()
    except OSError:  # removed, or being removed
        return False


def kill(group: Path) -> None:
    """Send SIGKILL to every process in the group and below, those that they fork meanwhile included."""
    with suppress(FileNotFoundError):  # there is none, or it has ended
        (group / "cgroup.kill").write_text("1")


def freeze(group: Path, *, frozen: bool) -> None:
    """Freeze every process in the group and below, or let them go on. A frozen process can still be killed."""
    with suppress(FileNotFoundError):
        (group / "cgroup.freeze").write_text("1" if frozen else "0")


@dataclass(frozen=True)
class Init:
    """A guest's pid 1 as the host numbers it, and the file that lists it as long as it runs."""

    pid: int
    members: Path

    def runs(self) -> bool:
        with suppress(OSError):
            return str(self.pid) in self.members.read_text().split()
        return False


def find_init(unit: Path) -> Init | None:
    """Return the guest's init, once it manages the guest and handles signals."""
    with suppress(OSError):
        for members in unit.glob("guest-*/payload/init.scope/cgroup.procs"):
            for pid in members.read_text().split():
                if _is_init(pid):
                    return Init(int(pid), members)
    return None


def cpu_seconds(group: Path) -> float:
    """Return the processor time of the group and all below it; 0 where there is none."""
    with suppress(OSError, ValueError):
        fields = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
        return int(fields.get("usage_usec", "0")) / 1e6
    return 0.0


def processes(machine: Path, service: str) -> tuple[int, ...]:
    """Return the pids of a service of the guest's systemd, as the host numbers them."""
    with suppress(OSError):
        groups = machine.glob(f"guest-*/payload/system.slice/{service}/**/cgroup.procs")
        return tuple(int(pid) for group in groups for pid in group.read_text().split())
    return ()


def waited_seconds(group: Path) -> float:
    """Return the time in which some process of the group waited for a processor; 0 where the kernel does not tell."""
    with suppress(OSError):
        some = (group / "cpu.pressure").read_text().splitlines()[0]
        return int(some.rpartition("total=")[2]) / 1e6
    return 0.0


def remove(group: Path) -> None:
    """Remove an empty group with all below it; raise OSError (EBUSY) if it does not get empty."""
    for folder, _, _ in os.walk(group, topdown=False):
        _rmdir(Path(folder))


def write(group: Path, values: Iterable[tuple[str, str]]) -> None:
    """Make the group and write its settings in their order."""
    group.mkdir(parents=True, exist_ok=True)
    for name, value in values:
        (group / name).write_text(value)


def _rmdir(folder: Path) -> None:
    deadline = time.monotonic() + _BUSY_TIMEOUT
    while True:
        try:
            return folder.rmdir()
        except FileNotFoundError:
            return None
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _is_init(pid: str) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    return any(line.startswith("NSpid:") and line.split()[-1] == "1" for line in status.splitlines())
