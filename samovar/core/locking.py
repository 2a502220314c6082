"""Locks between processes: a file that one of them holds, and that the kernel frees however that one ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from samovar.core.waiting import Pending, wait_for


@contextmanager
def exclusive(path: Path, *, timeout: float) -> Iterator[None]:
    """Holds the lock `path`, a file that is made where there is none. Raises WaitTimeout after `timeout` seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        remedy = f"see which process has it open: fuser {path}"
        wait_for(f"the lock {path}", lambda: _try(file), timeout=timeout, interval=0.02, remedy=remedy)
        yield


def _try(file: TextIO) -> Pending | None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return Pending("another process holds it")
    return None
