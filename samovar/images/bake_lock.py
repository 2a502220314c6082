"""One bake at a time on this machine: a second one waits, and then mostly finds its work done."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from samovar.core.output import Reporter
from samovar.core.waiting import Pending, wait_for

PATIENCE = 1800.0


@contextmanager
def bakery_lock(folder: Path, reporter: Reporter) -> Iterator[None]:
    """Holds `folder`/lock, which the kernel frees however we end. Raises WaitTimeout after half an hour."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as file:
        if isinstance(_try(file), Pending):
            reporter.info(f"another bake runs (process {_holder(file)}): waiting for it")
            wait_for("the other bake", lambda: _try(file), timeout=PATIENCE, remedy="see what that process does")
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _try(file: TextIO) -> Pending | None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return Pending(f"process {_holder(file)} bakes")
    return None


def _holder(file: TextIO) -> str:
    file.seek(0)
    return file.read() or "unknown"
