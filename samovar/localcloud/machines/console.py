"""A machine's serial console is kept in files of bounded size: its head, and the last of the segments that follow.

By itself, under the daemon's Python, it writes them, beside the machine and as long as it: boot.sh starts it, and the
daemon may be away. Usage: console.py FILE, with the console on stdin. FILE gets the head, FILE.1, FILE.2, ... what
follows. The daemon imports it to read them.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

HEAD = 64 << 10
SEGMENT = 1 << 20
KEPT = 2
"""Segments that are kept, so that the tail has between one and two of them."""
CHUNK = 64 << 10
TAIL = 256 << 10
"""Bytes of the end that are read. With the head, and with three bytes for each that is no text, under 1 MiB."""
GAP = b"\n[... this part of the console was not kept ...]\n"
ATTEMPTS = 5


def main(console: Path) -> None:
    """Copy the console until the machine ends. What cannot be written, as on a full disk, is lost."""
    _copy(console, HEAD)
    number = 0
    while True:
        number += 1
        with suppress(OSError):
            segment(console, number - KEPT).unlink(missing_ok=True)
        _copy(segment(console, number), SEGMENT)


def segment(console: Path, number: int) -> Path:
    """Return the file of a segment; they count from 1."""
    return console.with_name(f"{console.name}.{number}")


def _copy(path: Path, size: int) -> None:
    """Append `size` bytes of the console to a file."""
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


def read(console: Path) -> bytes:
    """Return the first HEAD bytes and the last TAIL bytes; between them GAP, where the console was longer."""
    for _ in range(ATTEMPTS):
        with suppress(FileNotFoundError):
            return _read(console) if console.exists() else b""
    return b""


def _read(console: Path) -> bytes:
    """Raise FileNotFoundError where a segment was deleted meanwhile."""
    with console.open("rb") as file:
        head = file.read(HEAD)
    segments = _segments(console)
    rest = sum(file.stat().st_size for file in (console, *segments)) - len(head)
    tail = _tail((console, *segments), min(rest, TAIL))
    is_complete = rest <= TAIL and (not segments or segments[0] == segment(console, 1))
    return head + (b"" if is_complete else GAP) + tail


def clear(console: Path) -> None:
    """Empty the console, as before a machine's first start."""
    for file in _segments(console):
        file.unlink(missing_ok=True)
    console.write_bytes(b"")


def last_lines(console: Path, count: int) -> str:
    """Return the last lines that are not blank, in one line; without control characters, as a terminal obeys them."""
    lines = read(console).decode(errors="replace").splitlines()
    shown = ("".join(letter for letter in line if letter.isprintable()).strip() for line in lines)
    return " | ".join([line for line in shown if line][-count:]) or "nothing"


def _segments(console: Path) -> list[Path]:
    """List the segments that are kept, the oldest first."""
    segments = console.parent.glob(f"{console.name}.[0-9]*")
    return sorted(segments, key=lambda path: int(path.suffix[1:]))


def _tail(files: tuple[Path, ...], size: int) -> bytes:
    """Return the last `size` bytes of the files in a row."""
    tail = b""
    for path in reversed(files):
        missing = size - len(tail)
        if missing <= 0:
            break
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - missing))
            tail = file.read(missing) + tail
    return tail


if __name__ == "__main__":
    main(Path(sys.argv[1]))
