"""A host of its own, with a world around it: a network namespace in which a test's fabric stands, and nobody else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from samovar.core.process import run_async
from samovar.localcloud.network import namespaces
from samovar.localcloud.network.names import NETNS_DIR

NAMES = ("198.51.100.7", "198.51.100.8")
SOCKETS = ("tcp", "tcp6", "udp", "udp6", "raw", "packet")


@asynccontextmanager
async def world(*ports: int) -> AsyncIterator[None]:
    """While it lasts, this thread and what it starts are in there. NAMES and its loopback answer at `ports`."""
    name = f"samovar-world-{os.getpid()}"
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    await run_async(("ip", "netns", "add", name))
    try:
        namespaces._enter(name)
        lines = ("link set lo up", "link add wan0 type veth peer name wan1", "link set wan1 up", "link set wan0 up")
        addresses = (f"address add {address}/24 dev wan0" for address in NAMES)
        await run_async(
            ("ip", "-batch", "-"), stdin="\n".join((*lines, *addresses, "route add default via 198.51.100.1"))
        )
        servers = [await asyncio.start_server(_greet, "0.0.0.0", port) for port in ports]
        yield
        for server in servers:
            server.close()
    finally:
        namespaces._libc.setns(home, namespaces.CLONE_NEWNET)
        os.close(home)
        await run_async(("ip", "netns", "del", name))
        assert not (NETNS_DIR / name).exists()


async def _greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.close()


def listeners() -> list[str]:
    """Local address and state of each socket of this thread's namespace that is not a connection."""
    found = []
    for kind in SOCKETS:
        for line in Path(f"/proc/thread-self/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            if kind == "packet" or set(fields[2].partition(":")[0]) == {"0"}:
                found.append(f"{kind} {fields[1]}" if kind != "packet" else kind)
    return sorted(found)
