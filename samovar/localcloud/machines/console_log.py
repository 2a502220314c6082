"""Writes a machine's serial console to files of bounded size: its head, and the last of the segments that follow.

It runs by itself under the host's python3, beside the machine and as long as it: boot.sh starts it, and the daemon may
be away. Usage: console_log.py FILE, with the console on stdin. FILE gets the head, FILE.1, FILE.2, ... what follows.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

HEAD = 64 << 10
SEGMENT = 1 << 20
KEPT = 2
"""Segments that are kept, so that the tail has between one and two of them."""
CHUNK = 64 << 10


def main(console: Path) -> None:
    """Copies the console until the machine ends. What cannot be written, as on a full disk, is lost."""
    _copy(console, HEAD)
    number = 0
    while True:
        number += 1
        with suppress(OSError):
            segment(console, number - KEPT).unlink(missing_ok=True)
        _copy(segment(console, number), SEGMENT)


def segment(console: Path, number: int) -> Path:
    """Returns the file of a segment; they count from 1."""
    return console.with_name(f"{console.name}.{number}")


def _copy(path: Path, size: int) -> None:
    """Appends `size` bytes of the console to a file."""
    sink = _opened(path)
    while size:
        data = os.read(0, min(size, CHUNK))
        if not data:
            sys.exit()
        size -= len(data)
        with suppress(OSError):
            os.write(sink, data)
    os.close(sink)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
