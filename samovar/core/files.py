"""Files that processes share: replaced whole and on the disk once they have their name, or held as a lock."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from samovar.core.waiting import Pending, wait_for

PRIVATE = 0o600
BLOCK = 512
"""The unit of `st_blocks`, whatever the file system (inode(7))."""


def write_private(path: Path, data: str | bytes) -> None:
    """Replace `path` by a file of mode 0600 that holds `data`, as `write_atomic` does."""
    write_atomic(path, data, mode=PRIVATE)


def write_atomic(path: Path, data: str | bytes, *, mode: int, durable: bool = True) -> None:
    """Replace `path` by a file that holds `data`: a reader finds the old content or the new, never a part.

    With `durable` that holds after a power cut, too. Two writers at the same time do not disturb each other: the last
    one wins. The umask does not change the mode.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(data.encode() if isinstance(data, str) else data)
            if durable:
                file.flush()
                os.fsync(descriptor)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def move_into_place(partial: Path, path: Path) -> None:
    """Give a complete file its name: after a power cut it is there whole, or under its old name."""
    sync_file(partial)
    partial.replace(path)
    sync_folder(path.parent)


def bytes_written(path: Path) -> int:
    """Return the bytes that a file takes on its disk, fewer than its size where it is sparse; 0 where there is none."""
    return path.stat().st_blocks * BLOCK if path.exists() else 0


def sync_file(path: Path) -> None:
    """Return when the file's content is on the disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Return when the names in the folder are on the disk, renames among them."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
