"""Files that are replaced whole: private from the first byte, and on the disk once they have their name."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

PRIVATE = 0o600


def write_private(path: Path, data: str | bytes) -> None:
    """Replace `path` by a file of mode 0600 that holds `data`, as `write_atomic` does."""
    write_atomic(path, data, mode=PRIVATE)


def write_atomic(path: Path, data: str | bytes, *, mode: int, durable: bool = True) -> None:
    """Replace `path` by a file that holds `data`: a reader finds the old content or the new, never a part.

    So it is after a power cut, too, where it is `durable`. Two writers at the same time do not disturb each other: the
    last one wins. The mode holds whatever the umask is.
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
