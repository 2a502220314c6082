"""A process that outlives the daemon which starts it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from samovar.core.errors import HostError


async def spawn_detached(argv: Sequence[str | Path], output: Path) -> None:
    """Starts `argv` in a session of its own, as a child of the host's init; what it says replaces `output`."""
    with output.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            "setsid", "--fork", *map(str, argv), stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink
        )
    if await process.wait():
        raise HostError(f"{argv[0]} did not start", remedy=f"what it said is in {output}")
