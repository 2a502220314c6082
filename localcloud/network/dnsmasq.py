"""A network's dnsmasq: started detached, so that machines keep their leases and names while the daemon is away."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from kit.process import run_async
from localcloud.network.names import NETNS_DIR
from localcloud.network.namespaces import open_socket
from localcloud.network.records import Files, Records

PROGRAM = "dnsmasq"
GRACE_MS = 2000
DHCP_PORT = 67


def serving(files: Files) -> int | None:
    """The pid of the dnsmasq that serves these files, of an earlier daemon's too."""
    try:
        pid = int(files.pid.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except (OSError, ValueError):
        return None
    return pid if str(files.configuration) in command else None


async def serve(namespace: str, files: Files, wanted: Records) -> None:
    """Brings dnsmasq in line with `wanted`: a changed record is read again, a changed configuration needs a new one."""
    stale = _put(files.configuration, wanted.configuration)
    changed = _put(files.hosts, wanted.hosts) | _put(files.dhcp_hosts, wanted.dhcp_hosts)
    pid = serving(files)
    if pid and stale:
        await end(pid)
        pid = None
    if pid is None:
        argv = ("nsenter", f"--net={NETNS_DIR / namespace}", PROGRAM, f"--conf-file={files.configuration}")
        await run_async(argv)
    elif changed:
        os.kill(pid, signal.SIGHUP)


async def end(pid: int) -> None:
    """Returns when the process is gone."""
    await asyncio.to_thread(_end, pid)


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            gone = select.poll()
            gone.register(handle, select.POLLIN)
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            if not gone.poll(GRACE_MS):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                gone.poll(GRACE_MS)
        finally:
            os.close(handle)


def tell(namespace: str, bridge: str, server: IPv4Address, packet: bytes) -> None:
    """Sends dnsmasq a DHCP packet as if it had come in by the bridge."""
    with open_socket(namespace, socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, bridge.encode())
        out.sendto(packet, (str(server), DHCP_PORT))


def among(pids: Iterable[int]) -> tuple[int, ...]:
    """Those of the processes that are a dnsmasq."""
    return tuple(pid for pid in pids if _name(pid) == PROGRAM)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _put(path: Path, text: str) -> bool:
    """Writes the file whole; True if that changed it."""
    if path.exists() and path.read_text() == text:
        return False
    partial = path.with_suffix(".new")
    partial.write_text(text)
    partial.replace(path)
    return True
