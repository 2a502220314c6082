"""Removes from the cache what was not used for long. The time of a file is that of its last use."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

UNUSED_DAYS = 30
"""After which files are removed that have no other bound."""


def mark_used(path: Path) -> None:
    """Give the path the time of now. What is marked before it is used is not removed meanwhile."""
    os.utime(path)


def keep_latest(paths: Iterable[Path], count: int) -> Sequence[Path]:
    """Remove all of the paths but the `count` that were used last; return those that went."""
    removed = sorted(paths, key=lambda path: path.stat().st_mtime)[:-count]
    for path in removed:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return removed


def keep_used(files: Iterable[Path]) -> None:
    """Remove those of the files that are unused. Another process may do so as well."""
    for file in filter(is_unused, files):
        file.unlink(missing_ok=True)


def is_unused(file: Path) -> bool:
    """Return whether nobody used, or read, a file for `UNUSED_DAYS`; False of one that is gone."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return False
    return max(status.st_mtime, status.st_atime) < time.time() - UNUSED_DAYS * 86400
