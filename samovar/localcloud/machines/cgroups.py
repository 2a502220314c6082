"""What the kernel says of a machine's control group (cgroup2), and the one way to end everything in it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PATIENCE = 0.5  # seconds that a group may stay busy after its last process is gone


def populated(group: Path) -> bool:
    """True while any process is in the group or below it."""
    try:
        return "populated 1" in (group / "cgroup.events").read_text()
    except OSError:  # gone, or going
        return False


def kill(group: Path) -> None:
    """SIGKILL to every process in the group and below, those that they fork meanwhile included."""
    with suppress(FileNotFoundError):  # nothing of the kind, or gone by itself
        (group / "cgroup.kill").write_text("1")


def init_pid(unit: Path) -> int | None:
    """The guest's pid 1 as the host sees it, once it has begun to manage the guest and hears signals."""
    with suppress(OSError):
        for members in unit.glob("guest-*/payload/init.scope/cgroup.procs"):
            for pid in members.read_text().split():
                if _is_init(pid):
                    return int(pid)
    return None


def processes(machine: Path, service: str) -> tuple[int, ...]:
    """The pids of a service of the guest's systemd, as the host has them."""
    with suppress(OSError):
        found = [
            pids.read_text().split() for pids in machine.glob(f"guest-*/payload/system.slice/{service}/**/cgroup.procs")
        ]
        return tuple(int(pid) for pids in found for pid in pids)
    return ()


def remove(group: Path) -> None:
    """Removes an empty group with all below it; raises OSError (EBUSY) if it does not get empty."""
    for folder, _, _ in os.walk(group, topdown=False):
        _rmdir(Path(folder))


def write(group: Path, values: Iterable[tuple[str, str]]) -> None:
    """Makes the group and writes its settings in their order."""
    group.mkdir(parents=True, exist_ok=True)
    for name, value in values:
        (group / name).write_text(value)


def _rmdir(folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
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
