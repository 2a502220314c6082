"""systemd's own reader of environment files, called in its library: what it says is what a unit gets."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

LIBRARIES = ("/lib/*/systemd/libsystemd-shared-*.so", "/lib/systemd/libsystemd-shared-*.so")


def read_environment_file(path: Path) -> dict[str, str]:
    """Return the variables that systemd reads there. Skips the test where this host has no systemd."""
    library, libc = _library(), ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    file = libc.fopen(bytes(path), b"r")
    lines = ctypes.POINTER(ctypes.c_char_p)()
    result = library.load_env_file(ctypes.c_void_p(file), bytes(path), ctypes.byref(lines))
    libc.fclose(ctypes.c_void_p(file))
    assert result == 0, f"load_env_file: {result}"
    return dict(line.decode().split("=", 1) for line in _until_null(lines)) if bool(lines) else {}


def _until_null(lines: ctypes._Pointer[ctypes.c_char_p]) -> Iterator[bytes]:
    index = 0
    while line := lines[index]:
        yield line
        index += 1


@cache
def _library() -> ctypes.CDLL:
    actual = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.lstrip("/"))]
    if not actual:
        pytest.skip("no library of systemd on this host")
    return ctypes.CDLL(str(actual[0]))
