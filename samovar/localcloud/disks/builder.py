"""Makes RAW files on this host: the scripts here, in namespaces that die with them, and coreutils.

Public images are kept in this user's cache, for all clouds together: one is made once, until what goes into it changes.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

import structlog

from samovar.core.apt_mirrors import LISTED, host_release, sources
from samovar.core.cache import keep_used, mark_used
from samovar.core.constants import GIB
from samovar.core.errors import HostError
from samovar.core.files import bytes_written, move_into_place, sync_file
from samovar.core.paths import cache_dir
from samovar.core.process import IN_NAMESPACES, run_async
from samovar.localcloud.disks.freeze import Freeze
from samovar.localcloud.disks.sparse import refresh

log = structlog.get_logger(__name__)

Command: TypeAlias = list[str | Path]

HERE = Path(__file__).parent
COPY = ("setpriv", "--pdeathsig", "KILL", "cp", "--reflink=auto")
TIMEOUT = 3600.0
RESERVE = 2 * GIB
"""Bytes that must be free before something is made that may take a good part of them."""


class HostDiskBuilder:
    """The `DiskBuilder` of a real host."""

    async def make_public_image(self, suite: str, out: Path) -> None:
        lines = sources(suite, (await run_async(LISTED)).stdout, host_release())
        cached = cache_dir() / "standard" / f"{suite}-{_digest(lines)}.raw"
        if not cached.exists():
            await self._build(suite, lines, cached)
        mark_used(cached)
        keep_used(cached.parent.glob("*.raw"))
        await self._link(cached, out)

    async def merge(self, image: Path, disk: Path, out: Path) -> None:
        _demand_room(out.parent)
        await run_async([*IN_NAMESPACES, "bash", HERE / "merge.sh", image, disk, out], timeout=TIMEOUT)

    def fetch(self, uri: str, out: Path) -> bool:  # noqa: ARG002 - the contract's
        """Nothing is taken from outside but packages, from the host's mirrors."""
        return False

    async def copy(self, source: Path, out: Path, size: int = 0) -> None:
        _demand_room(out.parent, bytes_written(source))
        partial = out.with_suffix(".new")
        await run_async([*COPY, "--sparse=always", source, partial], timeout=TIMEOUT)
        if partial.stat().st_size < size:
            os.truncate(partial, size)
        await asyncio.to_thread(move_into_place, partial, out)

    async def copy_consistently(self, source: Path, out: Path, frozen: AbstractAsyncContextManager[Freeze]) -> float:
        _demand_room(out.parent, bytes_written(source))
        partial, stop = out.with_suffix(".new"), threading.Event()
        await run_async([*COPY, "--sparse=auto", source, partial], timeout=TIMEOUT)
        await asyncio.to_thread(sync_file, partial)
        async with frozen as freeze:
            try:
                await asyncio.to_thread(refresh, source, partial, lambda: stop.is_set() or freeze.lost)
            finally:
                stop.set()
        await asyncio.to_thread(move_into_place, partial, out)
        return freeze.seconds

    async def _build(self, suite: str, lines: Sequence[str], cached: Path) -> None:
        cached.parent.mkdir(parents=True, exist_ok=True)
        _demand_room(cached.parent)
        began = time.monotonic()
        log.info("making a public image, which takes half a minute or more", suite=suite)
        # Another cloud of this user may be making it: then the script finds it there.
        lock = ("flock", "--no-fork", cached.parent / "lock")
        command: Command = [*lock, *IN_NAMESPACES, "bash", HERE / "standard.sh", suite, cached]
        await run_async(command, stdin="\n".join(lines) + "\n", timeout=TIMEOUT)
        log.info("made a public image", suite=suite, seconds=round(time.monotonic() - began, 1))

    async def _link(self, cached: Path, out: Path) -> None:
        """Link the file where the cache is in the same file system, else copy it."""
        try:
            os.link(cached, out)
        except FileExistsError:
            return
        except OSError:
            await self.copy(cached, out)


def _digest(lines: Sequence[str]) -> str:
    """Return a digest of what goes into a public image; of the packages only the mirrors are known before."""
    digest = hashlib.sha256("\n".join(lines).encode())
    for file in sorted(path for path in HERE.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}):
        digest.update(str(file.relative_to(HERE)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _demand_room(folder: Path, size: int = 0) -> None:
    needed = RESERVE + size
    if shutil.disk_usage(folder).free < needed:
        raise HostError(f"no room in {folder}: less than {needed / GIB:.1f} GiB is free", remedy="make room there")
