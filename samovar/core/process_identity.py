"""Gives a process a name from which every later reader can tell whether the process has ended.

The name holds where process numbers mean the same - the boot id of the kernel, the PID namespace, the machine id -, the
number, and when the process started, for numbers are given out again. Host names say nothing: containers share them.
The machine id may be missing, or equal in clones, and the boot id is that of the host in all of its containers; only
where all three are equal is a number looked up here. A process of any other place is never taken for dead.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from functools import cache
from pathlib import Path

from samovar.core.proc import PROC, start_time

MACHINE_ID = Path("/etc/machine-id")
NAME = re.compile(r"([0-9a-f]{16})-([0-9]{1,10})-([0-9]{1,20})")


def process_identity() -> str:
    """Return the name of this process: at most 48 of the characters that a label may have."""
    return f"{_place()}-{os.getpid()}-{start_time(os.getpid()) or 0}"


def has_ended(identity: str) -> bool:
    """Return whether the process of that name ran in this place and has ended."""
    match = NAME.fullmatch(identity)
    if match is None or match[1] != _place():
        return False
    pid = int(match[2])
    started = start_time(pid)
    return not _exists(pid) if started is None else started != int(match[3])


@cache
def _place() -> str:
    parts = (_boot_id(), str((PROC / "self/ns/pid").readlink()), _text(MACHINE_ID))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _boot_id() -> str:
    """The boot id; a kernel without one gives every process a place of its own."""
    return _text(PROC / "sys/kernel/random/boot_id") or secrets.token_hex(16)


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
