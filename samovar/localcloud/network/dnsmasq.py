"""A network's dnsmasq: started detached, so that machines keep their leases and names while the daemon is away."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from samovar.core.errors import HostError
from samovar.core.process import run_async
from samovar.localcloud.network.confined import beside, open_to_servers
from samovar.localcloud.network.dnsmasq_config import Files, Records
from samovar.localcloud.network.names import NETNS_DIR
from samovar.localcloud.network.namespaces import lives_in, open_socket

PROGRAM = "dnsmasq"
GRACE_MS = 2000
DHCP_PORT, DNS_PORT = 67, 53
WHO_IS_ROOT = struct.pack("!6HBHH", 1, 0x100, 1, 0, 0, 0, 0, 2, 1)
"""The shortest DNS question."""
ANSWER = 5.0
LOG_LIMIT = 1 << 20
NO_LARGER = ("env", "--ignore-signal=XFSZ", "prlimit", f"--fsize={8 * LOG_LIMIT}")
"""No file of dnsmasq's grows beyond that, while the daemon is away, too; it goes on without."""


def serving(files: Files) -> int | None:
    """The pid of the dnsmasq that serves these files, of an earlier daemon's too."""
    try:
        pid = int(files.pid.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except (OSError, ValueError):
        return None
    return pid if str(files.configuration) in command else None


async def serve(
    namespace: str, files: Files, wanted: Records, address: IPv4Address | None, *, again: bool = False
) -> None:
    """Brings dnsmasq in line with `wanted`: a changed record is read again, a changed configuration needs a new one.

    It opens its ports, leases and log as root, and reads records, then and later, as a user of its own.
    When this returns, the records are served. `address` is one that it answers on; None if it has no subnet to serve.
    `again`: what the files hold may never have been read, for the daemon that wrote them was killed.
    """
    open_to_servers(files.folder)
    _put(files.configuration, wanted.configuration)
    changed = _put(files.hosts, wanted.hosts) | _put(files.dhcp_hosts, wanted.dhcp_hosts) | again
    bound(files.log)
    pid = serving(files)
    if pid and (_is_newer(files.configuration, files.pid) or not lives_in(pid, namespace)):
        await end(pid)
        pid = None
    if pid is None:
        command = beside(files.folder, (PROGRAM, f"--conf-file={files.configuration}"))
        await run_async(("nsenter", f"--net={NETNS_DIR / namespace}", *NO_LARGER, *command))
    elif changed:
        os.kill(pid, signal.SIGHUP)
        if address:
            await _answer(namespace, address)


async def _answer(namespace: str, address: IPv4Address) -> None:
    """Waits for an answer, whatever it is: what is asked after it is asked after a signal that was sent before it.

    dnsmasq may still take one packet before it sees a signal, never two.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(ANSWER):
            with open_socket(namespace, socket.AF_INET, socket.SOCK_DGRAM) as out:
                await loop.sock_connect(out, (str(address), DNS_PORT))
                await loop.sock_sendall(out, WHO_IS_ROOT)
                await loop.sock_recv(out, len(WHO_IS_ROOT))
    except (TimeoutError, OSError) as error:
        raise HostError(f"the name server of {namespace} does not answer at {address}: {error!r}") from error


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


def _is_newer(file: Path, than: Path) -> bool:
    return file.stat().st_mtime_ns > than.stat().st_mtime_ns


def bound(log: Path) -> None:
    """Empties a log that is too long; dnsmasq appends, so it goes on at the beginning."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        os.truncate(log, 0)


def _put(path: Path, text: str) -> bool:
    """Writes the file whole; True if that changed it."""
    if path.exists() and path.read_text() == text:
        return False
    partial = path.with_suffix(".new")
    partial.write_text(text)
    partial.chmod(0o644)
    partial.replace(path)
    return True
