"""The way out of a network to the package mirrors: pasta, which opens connections on the host for what it is sent.

As it comes it would open the host both ways; with these flags it listens nowhere, and the host's loopback is not to be
reached through it. What may be sent to it, the network's rules say. It is started detached and outlives the daemon.

It runs as a user of its own, in an empty root, bounded by its seccomp filter. Of root's capabilities it keeps
CAP_SYS_ADMIN alone, without which nobody enters a network namespace that root made; the filter lets it set none up.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from samovar.core import proc
from samovar.core.apt_mirrors import LISTED
from samovar.core.errors import ProcessFailed
from samovar.core.process import run_async
from samovar.localcloud.network.model import Mirror
from samovar.localcloud.network.names import NETNS_DIR, WAY_OUT
from samovar.localcloud.network.server_process import FOLDER, as_pasta, open_to_servers, writable_by_pasta

log = structlog.get_logger(__name__)

PROGRAM = "pasta"
PID, LOG = "pasta.pid", "pasta.log"
ADDRESS, GATEWAY, PREFIX = IPv4Address("198.18.1.2"), IPv4Address("198.18.1.1"), 30
CLOSED = ("-t", "none", "-u", "none", "-T", "none", "-U", "none", "--no-map-gw", "-4")
STANDING = ("--netns-only", "--config-net", "--no-netns-quit")


def command(namespace: str) -> tuple[str, ...]:
    """The argv that gives a network its way out; it logs into the network's folder and leaves its pid there."""
    interface = ("-I", WAY_OUT, "-a", str(ADDRESS), "-n", str(PREFIX), "-g", str(GATEWAY))
    files = ("-q", "-l", str(FOLDER / LOG), "-P", str(FOLDER / PID))
    return (PROGRAM, *files, *interface, *CLOSED, *STANDING, "--netns", str(NETNS_DIR / namespace))


def has_died(namespace: str, folder: Path) -> bool:
    """Whether there was a way out, of an earlier daemon too, whose process is gone."""
    try:
        return not _leads_into(int((folder / PID).read_text()), namespace)
    except FileNotFoundError:
        return False
    except (OSError, ValueError):  # it ended, or the daemon did, before its pid was written
        return True


async def bring_in_line(namespace: str, folder: Path, *, wanted: bool) -> None:
    """A host that is connected to nothing has no way out to give: that is logged, and machines find it shut."""
    died = has_died(namespace, folder)
    if not died and (folder / PID).exists() == wanted:
        return
    await shut(namespace)
    (folder / PID).unlink(missing_ok=True)
    if wanted:
        try:
            open_to_servers(folder)
            for name in (LOG, PID):
                writable_by_pasta(folder / name)
            await run_async(as_pasta(folder, command(namespace)))
        except ProcessFailed as failure:
            (folder / PID).unlink(missing_ok=True)
            log.warning("machines have no way out", network=namespace, error=str(failure))


async def shut(namespace: str) -> None:
    """Ends what it finds by its arguments: the folder may be gone, and the process lives in the host's namespace."""
    for pid in [pid for pid in proc.pids() if _leads_into(pid, namespace)]:
        await asyncio.to_thread(proc.terminate, pid)


def _leads_into(pid: int, namespace: str) -> bool:
    arguments = proc.argv(pid)
    return arguments[:1] == (PROGRAM,) and str(NETNS_DIR / namespace) in arguments


PORTS = {"http": 80, "https": 443}
FRESH = 300.0


class Mirrors:
    """What was found at the last look; nothing before the first."""

    def __init__(self) -> None:
        self._found: tuple[Mirror, ...] = ()
        self._looked = float("-inf")
        self._look: asyncio.Task[None] | None = None

    def known(self) -> tuple[Mirror, ...]:
        now = asyncio.get_running_loop().time()
        if now - self._looked > FRESH:
            self._looked = now
            self._look = asyncio.create_task(self._refresh(), name="look up mirrors")
        return self._found

    async def close(self) -> None:
        if self._look:
            self._look.cancel()
            with suppress(asyncio.CancelledError):
                await self._look

    async def _refresh(self) -> None:
        """A mirror whose name is not found now keeps the addresses that it had."""
        try:
            listed = await run_async(LISTED)
        except ProcessFailed as failure:
            log.warning("apt does not say which mirrors it uses", error=str(failure))
            return
        before = {(mirror.name, mirror.port): mirror for mirror in self._found}
        found = [await _resolved(name, port) or before.get((name, port)) for name, port in servers(listed.stdout)]
        self._found = tuple(sorted(mirror for mirror in found if mirror))


def servers(listed: str) -> Iterable[tuple[str, int]]:
    """Host and port of each of apt's sites, a URL a line, once; those that are no web server are left out."""
    sites = [urlsplit(line.split()[0]) for line in listed.splitlines()]
    return dict.fromkeys(
        (site.hostname, site.port or PORTS[site.scheme]) for site in sites if site.scheme in PORTS and site.hostname
    )


async def _resolved(name: str, port: int) -> Mirror | None:
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(
            name, port, family=socket.AF_INET, type=socket.SOCK_STREAM
        )
    except OSError as error:
        log.warning("a package mirror has no address", mirror=name, error=str(error))
        return None
    return Mirror(name, port, tuple(sorted({IPv4Address(answer[4][0]) for answer in answers})))
