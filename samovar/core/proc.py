"""Looks at the processes of this host in /proc (proc(5)), whoever started them, tells them apart, and ends them."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import select
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

PROC = Path("/proc")
GRACE_MS = 2000
"""Milliseconds that a process has to end by SIGTERM."""


def pids() -> Iterator[int]:
    """Yield the number of each process."""
    return (int(path.name) for path in PROC.glob("[0-9]*"))


def argv(pid: int) -> tuple[str, ...]:
    """Return a process's command line; empty where it has ended, or is a thread of the kernel."""
    try:
        text = (PROC / str(pid) / "cmdline").read_text(errors="surrogateescape")
    except OSError:
        return ()
    return tuple(text.rstrip("\0").split("\0")) if text else ()


def program_name(pid: int) -> str:
    """Return the name of the program that a process runs; empty where it has ended."""
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def state(pid: int) -> str:
    """Return the state of a process, a letter as in proc_pid_stat(5); empty where it has ended."""
    fields = _stat(pid)
    return fields[0] if fields else ""


def start_time(pid: int) -> int | None:
    """Return when a process started, in ticks since the boot; None where it has ended, or is hidden from us."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _stat(pid: int) -> list[str]:
    """Return the fields of proc_pid_stat(5) from the third on: the name in brackets before them may hold anything."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def terminate(pid: int) -> None:
    """End a process by SIGTERM, or by SIGKILL where that is not enough, and return when it has ended."""
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


MACHINE_ID = Path("/etc/machine-id")
IDENTITY = re.compile(r"([0-9a-f]{16})-([0-9]{1,10})-([0-9]{1,20})")


def process_identity() -> str:
    """Return a name of this process from which every later reader can tell whether it has ended.

    It holds where process numbers mean the same - the boot id of the kernel, the PID namespace, the machine id -, the
    number, and when the process started, for numbers are given out again. Host names say nothing: containers share
    them. The machine id may be missing, or equal in clones, and the boot id is that of the host in all of its
    containers; only where all three are equal is a number looked up here. A process of any other place is never taken
    for dead, and without /proc, as on macOS, none is. The name has at most 48 of the characters that a label may have.
    """
    return f"{_place()}-{os.getpid()}-{start_time(os.getpid()) or 0}"


def has_ended(identity: str) -> bool:
    """Return whether the process of that name ran in this place and has ended."""
    match = IDENTITY.fullmatch(identity)
    if match is None or match[1] != _place():
        return False
    pid = int(match[2])
    started = start_time(pid)
    return not _exists(pid) if started is None else started != int(match[3])


@cache
def _place() -> str:
    parts = (_boot_id(), _pid_namespace(), _text(MACHINE_ID))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _boot_id() -> str:
    """Return the boot id; without one every process has a place of its own."""
    return _text(PROC / "sys/kernel/random/boot_id") or secrets.token_hex(16)


def _pid_namespace() -> str:
    try:
        return str((PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
