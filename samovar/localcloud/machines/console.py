"""Reads a machine's serial console, which `console_log` writes: its head and its tail, however much there was."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from samovar.localcloud.machines.console_log import HEAD, segment

TAIL = 256 << 10
"""Bytes of the end that are read. With the head, and with three bytes for each that is no text, under 1 MiB."""
GAP = b"\n[... this part of the console was not kept ...]\n"
ATTEMPTS = 5


def read(console: Path) -> bytes:
    """Returns the first HEAD bytes and the last TAIL bytes; between them GAP, where the console was longer."""
    for _ in range(ATTEMPTS):
        with suppress(FileNotFoundError):
            return _read(console) if console.exists() else b""
    return b""


def _read(console: Path) -> bytes:
    """Raises FileNotFoundError where a segment was deleted meanwhile."""
    with console.open("rb") as file:
        head = file.read(HEAD)
    segments = _segments(console)
    rest = sum(file.stat().st_size for file in (console, *segments)) - len(head)
    tail = _tail((console, *segments), min(rest, TAIL))
    is_complete = rest <= TAIL and (not segments or segments[0] == segment(console, 1))
    return head + (b"" if is_complete else GAP) + tail


def clear(console: Path) -> None:
    """Empties the console, as before a machine's first start."""
    for file in _segments(console):
        file.unlink(missing_ok=True)
    console.write_bytes(b"")


def last_lines(console: Path, count: int) -> str:
    """Returns the last lines that are not blank, in one line; without control characters, as a terminal obeys them."""
    lines = read(console).decode(errors="replace").splitlines()
    shown = ("".join(letter for letter in line if letter.isprintable()).strip() for line in lines)
    return " | ".join([line for line in shown if line][-count:]) or "nothing"


def _segments(console: Path) -> list[Path]:
    """Lists the segments that are kept, the oldest first."""
    segments = console.parent.glob(f"{console.name}.[0-9]*")
    return sorted(segments, key=lambda path: int(path.suffix[1:]))


def _tail(files: tuple[Path, ...], size: int) -> bytes:
    """Returns the last `size` bytes of the files in a row."""
    tail = b""
    for path in reversed(files):
        missing = size - len(tail)
        if missing <= 0:
            break
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - missing))
            tail = file.read(missing) + tail
    return tail
