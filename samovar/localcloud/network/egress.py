"""The way out of a network to the package mirrors: pasta, which opens connections on the host for what it is sent.

As it comes it would open the host both ways; with these flags it listens nowhere, and the host's loopback is not to be
reached through it. What may be sent to it, the network's rules say. It is started detached and outlives the daemon.

It runs as a user of its own, in an empty root, bounded by its seccomp filter. Of root's capabilities it keeps
CAP_SYS_ADMIN alone, without which nobody enters a network namespace that root made; the filter lets it set none up.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import structlog

from samovar.core.errors import ProcessFailed
from samovar.core.process import run_async
from samovar.localcloud.network.confined import FOLDER, as_pasta, open_to_servers, writable_by_pasta
from samovar.localcloud.network.dnsmasq import end
from samovar.localcloud.network.names import NETNS_DIR, WAY_OUT

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
    for pid in [pid for pid in _processes() if _leads_into(pid, namespace)]:
        await end(pid)


def _leads_into(pid: int, namespace: str) -> bool:
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return argv[0] == PROGRAM.encode() and str(NETNS_DIR / namespace).encode() in argv


def _processes() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").glob("[0-9]*"))
