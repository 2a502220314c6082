"""A builder of RAW files that hold nothing but a few words, which tell them apart."""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from samovar.localcloud.disks.freeze import Freeze
from samovar.localcloud.disks.sparse import refresh

SIZE = 64 << 20
"""Bytes of an image of which nothing is known but its uri; sparse."""


class SimulatedDiskBuilder:
    """What is made here boots no machine but a simulated one. With `any_uri` there is an image behind each."""

    def __init__(self, *, any_uri: bool = False) -> None:
        self._any_uri = any_uri

    async def make_public_image(self, suite: str, out: Path) -> None:
        _write(out, f"standard {suite}".encode())

    async def merge(self, image: Path, disk: Path, out: Path) -> None:
        _write(out, _read(image) + b" changed by " + disk.stem.encode())

    async def copy(self, source: Path, out: Path, size: int = 0) -> None:
        _copy(source, out)
        os.truncate(out, max(size, source.stat().st_size))  # noqa: ASYNC240 - at once

    async def copy_consistently(self, source: Path, out: Path, frozen: AbstractAsyncContextManager[Freeze]) -> float:
        async with frozen as freeze:
            _copy(source, out)
        return freeze.seconds

    def fetch(self, uri: str, out: Path) -> bool:  # noqa: ARG002 - any uri is as good as another
        if not self._any_uri:
            return False
        with out.open("xb") as file:
            os.truncate(file.fileno(), SIZE)
        return True


def _copy(source: Path, out: Path) -> None:
    """Disks are large, and hold next to nothing."""
    partial = out.with_suffix(".new")
    partial.touch()
    refresh(source, partial)
    partial.replace(out)


def _read(path: Path) -> bytes:
    return path.read_bytes()


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
