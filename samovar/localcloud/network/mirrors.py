"""The package mirrors that machines with a way out reach: the host's own, as its apt is configured.

Their names are looked up on the host, again every few minutes; in the background, for a network must not wait for them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from urllib.parse import urlsplit

import structlog

from samovar.core.errors import ProcessFailed
from samovar.core.process import run_async

log = structlog.get_logger(__name__)

LISTED = ("apt-get", "indextargets", "--no-release-info", "--format", "$(SITE)", "Created-By: Packages")
PORTS = {"http": 80, "https": 443}
FRESH = 300.0


@dataclass(frozen=True, order=True)
class Mirror:
    """A server of packages, by the name that apt knows it by."""

    name: str
    port: int
    addresses: tuple[IPv4Address, ...]


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
    sites = [urlsplit(line) for line in listed.split()]
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
