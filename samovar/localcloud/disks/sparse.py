"""Updates a copy of a sparse file: what is equal already is only read, and holes stay holes."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

FICLONE = 0x40049409  # linux/fs.h
CHUNK = 256 << 10


def refresh(source: Path, copy: Path, stop: Callable[[], bool] = lambda: False) -> None:
    """Make `copy` equal to `source`; once `stop` says so, it ends before that."""
    old, new = os.open(source, os.O_RDONLY), os.open(copy, os.O_RDWR)
    try:
        if not _cloned(old, new):
            _compare(old, new, stop)
    finally:
        os.close(old)
        os.close(new)


def _cloned(old: int, new: int) -> bool:
    """Clone the file where its file system can: XFS and btrfs share the content."""
    try:
        fcntl.ioctl(new, FICLONE, old)
    except OSError:
        return False
    return True


def _compare(old: int, new: int, stop: Callable[[], bool]) -> None:
    size = os.fstat(old).st_size
    os.truncate(new, size)
    ours, theirs = bytearray(CHUNK), bytearray(CHUNK)
    for number in sorted({*_data(old, size), *_data(new, size)}):
        if stop():
            return
        at = number * CHUNK
        length = os.preadv(old, [ours], at)
        if os.preadv(new, [theirs], at) != length or ours != theirs:
            os.pwrite(new, memoryview(ours)[:length], at)


def _data(descriptor: int, size: int) -> Iterator[int]:
    """Yield the numbers of the chunks in which a file holds data."""
    at = 0
    while at < size:
        try:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole to the end
                return
            raise
        at = os.lseek(descriptor, begin, os.SEEK_HOLE)
        yield from range(begin // CHUNK, (at - 1) // CHUNK + 1)
