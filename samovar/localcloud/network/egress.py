"""Egress leads from a network to the package mirrors: pasta opens connections on the host for what it is sent.

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
from samovar.localcloud.network.names import EGRESS_LINK, NETNS_DIR
from samovar.localcloud.network.server_process import FOLDER, as_pasta, give_to_pasta, open_to_servers

log = structlog.get_logger(__name__)

PROGRAM = "pasta"
PID, LOG = "pasta.pid", "pasta.log"
ADDRESS, GATEWAY, PREFIX = IPv4Address("198.18.1.2"), IPv4Address("198.18.1.1"), 30
CLOSED = ("-t", "none", "-u", "none", "-T", "none", "-U", "none", "--no-map-gw", "-4")
PORTS = {"http": 80, "https": 443}
REFRESH = 300.0
"""Seconds after which the mirrors are looked up again."""
STANDING = ("--netns-only", "--config-net", "--no-netns-quit")


def command(namespace: str) -> tuple[str, ...]:
    """Return the argv that gives a network its egress; pasta writes its log and its pid to the network's folder."""
    interface = ("-I", EGRESS_LINK, "-a", str(ADDRESS), "-n", str(PREFIX), "-g", str(GATEWAY))
    files = ("-q", "-l", str(FOLDER / LOG), "-P", str(FOLDER / PID))
    return (PROGRAM, *files, *interface, *CLOSED, *STANDING, "--netns", str(NETNS_DIR / namespace))


def has_died(namespace: str, folder: Path) -> bool:
    """Return whether the network had egress, by an earlier daemon too, whose process has ended."""
    try:
        return not _leads_into(int((folder / PID).read_text()), namespace)
    except FileNotFoundError:
        return False
    except (OSError, ValueError):  # it ended, or the daemon did, before its pid was written
        return True


async def reconcile(namespace: str, folder: Path, *, enabled: bool) -> None:
    """Start or end pasta. A host without a network has no egress to give: that is logged, and machines have none."""
    if not has_died(namespace, folder) and (folder / PID).exists() == enabled:
        return
    await end(namespace)
    (folder / PID).unlink(missing_ok=True)
    if enabled:
        try:
            open_to_servers(folder)
            for name in (LOG, PID):
                give_to_pasta(folder / name)
            await run_async(as_pasta(folder, command(namespace)))
        except ProcessFailed as failure:
            (folder / PID).unlink(missing_ok=True)
            log.warning("machines have no egress", network=namespace, error=str(failure))


async def end(namespace: str) -> None:
    """End pasta, found by its arguments: the folder may be lost, and the process lives in the host's namespace."""
    for pid in [pid for pid in proc.pids() if _leads_into(pid, namespace)]:
        await asyncio.to_thread(proc.terminate, pid)


def _leads_into(pid: int, namespace: str) -> bool:
    arguments = proc.argv(pid)
    return arguments[:1] == (PROGRAM,) and str(NETNS_DIR / namespace) in arguments


class Mirrors:
    """The mirrors that the last look-up brought; none before the first."""

    def __init__(self) -> None:
        self._mirrors: tuple[Mirror, ...] = ()
        self._refreshed = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def current(self) -> tuple[Mirror, ...]:
        """Return the mirrors, and look them up anew in the background where that was long ago."""
        now = asyncio.get_running_loop().time()
        if now - self._refreshed > REFRESH:
            self._refreshed = now
            self._task = asyncio.create_task(self.refresh(), name="look up mirrors")
        return self._mirrors

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def refresh(self) -> None:
        """Look the mirrors up. One whose name is not found now keeps the addresses that it had."""
        self._refreshed = asyncio.get_running_loop().time()
        try:
            listed = await run_async(LISTED)
        except ProcessFailed as failure:
            log.warning("apt does not say which mirrors it uses", error=str(failure))
            return
        before = {(mirror.name, mirror.port): mirror for mirror in self._mirrors}
        current = [await _resolved(name, port) or before.get((name, port)) for name, port in web_servers(listed.stdout)]
        self._mirrors = tuple(sorted(mirror for mirror in current if mirror))


def web_servers(listed: str) -> Iterable[tuple[str, int]]:
    """List the host and port of each of apt's sites once. Lines of `listed` begin with a URL; others are skipped."""
    sites = [urlsplit(line.split()[0]) for line in listed.splitlines() if line.strip()]
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
