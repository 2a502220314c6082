"""Looks at the processes of this host in /proc (proc(5)), whoever started them, and ends them."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
GRACE_MS = 2000
"""Milliseconds that a process has to end by SIGTERM."""


def pids() -> Iterator[int]:
    """Yields the number of each process."""
    return (int(path.name) for path in PROC.glob("[0-9]*"))


def argv(pid: int) -> tuple[str, ...]:
    """Returns a process's command line; empty where it has ended, or is a thread of the kernel."""
    try:
        text = (PROC / str(pid) / "cmdline").read_text(errors="surrogateescape")
    except OSError:
        return ()
    return tuple(text.rstrip("\0").split("\0")) if text else ()


def program_name(pid: int) -> str:
    """Returns the name of the program that a process runs; empty where it has ended."""
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def state(pid: int) -> str:
    """Returns the state of a process, a letter as in proc_pid_stat(5); empty where it has ended."""
    fields = _stat(pid)
    return fields[0] if fields else ""


def start_time(pid: int) -> int | None:
    """Returns when a process started, in ticks since the boot; None where it has ended, or is hidden from us."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _stat(pid: int) -> list[str]:
    """Returns the fields of proc_pid_stat(5) from the third on: the name in brackets before them may hold anything."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def terminate(pid: int) -> None:
    """Ends a process by SIGTERM, or by SIGKILL where that is not enough, and returns when it has ended."""
    with suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        try:
            ended = select.poll()
            ended.register(process, select.POLLIN)
            signal.pidfd_send_signal(process, signal.SIGTERM)
            if not ended.poll(GRACE_MS):
                signal.pidfd_send_signal(process, signal.SIGKILL)
                ended.poll(GRACE_MS)
        finally:
            os.close(process)
