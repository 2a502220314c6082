"""Locks between processes: a file that one of them holds, and that the kernel frees however that one ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from samovar.core.waiting import Pending, wait_for


@contextmanager
def exclusive(path: Path, *, timeout: float, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock `path`, a file that is made where there is none. Raises WaitTimeout after `timeout` seconds.

    The holder's process number is written into it; `on_wait` gets that of another holder, before the wait for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if on_wait and isinstance(_try(file), Pending):
            on_wait(_holder(file))
        remedy = f"see which process has it open: fuser {path}"
        wait_for(f"the lock {path}", lambda: _try(file), timeout=timeout, interval=0.02, remedy=remedy)
        with suppress(OSError):  # a full disk
            os.truncate(file.fileno(), 0)
            os.write(file.fileno(), str(os.getpid()).encode())
        yield


def _try(file: TextIO) -> Pending | None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return Pending(f"process {_holder(file)} holds it")
    return None


def _holder(file: TextIO) -> str:
    file.seek(0)
    return file.read() or "unknown"
