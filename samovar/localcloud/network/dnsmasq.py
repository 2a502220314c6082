"""dnsmasq serves a network's leases and names, detached: machines keep both while the daemon is away."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from samovar.core import proc
from samovar.core.errors import HostError
from samovar.core.files import write_atomic
from samovar.core.process import run_async
from samovar.localcloud.network.model import Mirror, Network, Nic, Subnet
from samovar.localcloud.network.names import API, API_NAME, DOMAIN, NETNS_DIR, bridge, gateway, name_server
from samovar.localcloud.network.namespaces import lives_in, open_socket, processes_in
from samovar.localcloud.network.server_process import DNSMASQ_USER, FOLDER, SERVER_GROUP, open_to_servers, with_folder

PROGRAM = "dnsmasq"
DHCP_PORT, DNS_PORT = 67, 53
ROOT_QUESTION = struct.pack("!6HBHH", 1, 0x100, 1, 0, 0, 0, 0, 2, 1)
"""The shortest DNS question."""
ANSWER_TIMEOUT = 5.0
LOG_LIMIT = 1 << 20
SIZE_LIMIT = ("env", "--ignore-signal=XFSZ", "prlimit", f"--fsize={8 * LOG_LIMIT}")
"""Bounds dnsmasq's files while the daemon is away, too; it goes on without writing."""
LEASE_TIME = "12h"
MAX_LEASES = 65536
"""Its own bound is 1,000 for all subnets together; each lease belongs to a machine that we know."""


@dataclass(frozen=True)
class Files:
    """The files of one network's dnsmasq, all in one folder."""

    folder: Path

    @property
    def configuration(self) -> Path:
        return self.folder / "dnsmasq.conf"

    @property
    def pid(self) -> Path:
        return self.folder / "dnsmasq.pid"

    @property
    def hosts(self) -> Path:
        return self.folder / "hosts"

    @property
    def dhcp_hosts(self) -> Path:
        return self.folder / "dhcp-hosts"

    @property
    def leases(self) -> Path:
        return self.folder / "leases"

    @property
    def log(self) -> Path:
        return self.folder / "dnsmasq.log"


@dataclass(frozen=True)
class Records:
    """The text of dnsmasq's files. It reads `hosts` and `dhcp_hosts` again on SIGHUP."""

    configuration: str
    hosts: str
    dhcp_hosts: str


@dataclass(frozen=True)
class Lease:
    """An address that dnsmasq keeps for a MAC."""

    mac: str
    address: IPv4Address


def records(network: Network, files: Files, mirrors: Iterable[Mirror] = ()) -> Records:
    """Return the leases and names of a network; outside of it only the mirrors have a name."""
    return Records(
        configuration="".join(f"{line}\n" for line in _configuration(network, files)),
        hosts="".join(f"{line}\n" for line in _hosts(network, mirrors)),
        dhcp_hosts="".join(f"{nic.mac},{nic.address},{nic.hostname}\n" for nic in network.nics),
    )


def _hosts(network: Network, mirrors: Iterable[Mirror]) -> Iterator[str]:
    """Each network has the API's name, though a machine without egress gets no answer at its address."""
    mirrors = tuple(mirrors)
    taken = {API_NAME, *(mirror.name for mirror in mirrors)}
    yield f"{API} {API_NAME}"
    yield from (f"{address} {mirror.name}" for mirror in mirrors for address in mirror.addresses)
    yield from (f"{nic.address} {' '.join(_names(nic, taken))}" for nic in network.nics if nic.named)


def _names(nic: Nic, taken: Collection[str]) -> Iterable[str]:
    """Return each name once, but for those `taken`. One with a dot is absolute; others get the search domain."""
    names = (nic.hostname, f"{nic.machine_id}.auto.{DOMAIN}", *nic.aliases)
    absolute = (name if "." in name else f"{name}.{DOMAIN}" for name in names)
    return dict.fromkeys(name for name in absolute if name not in taken)


def _configuration(network: Network, files: Files) -> Iterator[str]:
    """Every name that is not ours does not exist (`address=/#/`), at once: a guest that asks must not wait.

    `no-ping`, rapid commit and authoritative save a machine 3 s of its boot. Machines are told apart by MAC alone,
    and name nothing themselves.
    """
    yield from ("except-interface=lo", "bind-interfaces", f"user={DNSMASQ_USER}", f"group={SERVER_GROUP}")
    yield from ("no-resolv", "no-poll", "no-hosts", "address=/#/", f"domain={DOMAIN}")
    yield from ("no-ping", "dhcp-rapid-commit", "dhcp-authoritative", "dhcp-ignore-clid", "dhcp-ignore-names")
    yield f"dhcp-lease-max={MAX_LEASES}"
    yield f"addn-hosts={FOLDER / files.hosts.name}"
    yield f"dhcp-hostsfile={FOLDER / files.dhcp_hosts.name}"
    yield f"dhcp-leasefile={files.leases}"
    yield f"pid-file={files.pid}"
    yield from ("quiet-dhcp", f"log-facility={files.log}")
    for subnet in network.subnets:
        yield from _serve(subnet)


def _serve(subnet: Subnet) -> Iterator[str]:
    tag = bridge(subnet)
    yield f"interface={tag}"
    yield f"dhcp-range=set:{tag},{subnet.cidr.network_address},static,{subnet.cidr.netmask},{LEASE_TIME}"
    yield f"dhcp-option=tag:{tag},option:router,{gateway(subnet)}"
    yield f"dhcp-option=tag:{tag},option:dns-server,{name_server(subnet)}"


def stale(leases: str, network: Network) -> tuple[Lease, ...]:
    """Return the leases of deleted machines, whose addresses dnsmasq gives to no other MAC before a release."""
    lines = (line.split() for line in leases.splitlines())
    held = [Lease(mac=fields[1], address=IPv4Address(fields[2])) for fields in lines if len(fields) == 5]  # noqa: PLR2004 - time, MAC, address, name, client id
    current = {Lease(mac=nic.mac, address=nic.address) for nic in network.nics}
    return tuple(lease for lease in held if lease not in current)


def release(lease: Lease, server: IPv4Address) -> bytes:
    """Return the DHCPRELEASE (RFC 2131) by which a machine gives its address back to `server`."""
    mac = bytes.fromhex(lease.mac.replace(":", ""))
    ethernet, request, release_type = 1, 1, 7
    head = struct.pack("!BBBBIHH", request, ethernet, len(mac), 0, 1, 0, 0)
    addresses = lease.address.packed + bytes(12)
    options = bytes((53, 1, release_type, 54, 4)) + server.packed + b"\xff"
    return head + addresses + mac.ljust(16, b"\0") + bytes(64 + 128) + b"\x63\x82\x53\x63" + options


def serving_pid(files: Files) -> int | None:
    """Return the pid of the dnsmasq that serves these files, an earlier daemon's too."""
    try:
        pid = int(files.pid.read_text())
    except (OSError, ValueError):
        return None
    return pid if any(str(files.configuration) in argument for argument in proc.argv(pid)) else None


async def serve(
    namespace: str, files: Files, desired: Records, address: IPv4Address | None, *, reload: bool = False
) -> None:
    """Make dnsmasq serve `desired`: it reads changed records again, and starts anew for a changed configuration.

    It opens its ports, leases and log as root, and reads records as a user of its own.
    When this returns, the records are served. `address` is one that it answers on; None if it has no subnet to serve.
    `reload`: what the files hold may never have been read, for the daemon that wrote them was killed.
    """
    open_to_servers(files.folder)
    _put(files.configuration, desired.configuration)
    changed = _put(files.hosts, desired.hosts) | _put(files.dhcp_hosts, desired.dhcp_hosts) | reload
    truncate_log(files.log)
    pid = serving_pid(files)
    if pid and (_is_newer(files.configuration, files.pid) or not lives_in(pid, namespace)):
        await asyncio.to_thread(proc.terminate, pid)
        pid = None
    if pid is None:
        command = with_folder(files.folder, (PROGRAM, f"--conf-file={files.configuration}"))
        await run_async(("nsenter", f"--net={NETNS_DIR / namespace}", *SIZE_LIMIT, *command))
    elif changed:
        os.kill(pid, signal.SIGHUP)
        if address:
            await _wait_for_answer(namespace, address)


async def _wait_for_answer(namespace: str, address: IPv4Address) -> None:
    """Wait for any answer: by then dnsmasq has seen a signal that was sent before, so later answers are current.

    It may still take one packet before it sees the signal, never two.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            with open_socket(namespace, socket.AF_INET, socket.SOCK_DGRAM) as out:
                await loop.sock_connect(out, (str(address), DNS_PORT))
                await loop.sock_sendall(out, ROOT_QUESTION)
                await loop.sock_recv(out, len(ROOT_QUESTION))
    except (TimeoutError, OSError) as error:
        raise HostError(f"the name server of {namespace} does not answer at {address}: {error!r}") from error


def send_dhcp(namespace: str, bridge: str, server: IPv4Address, packet: bytes) -> None:
    """Send dnsmasq a DHCP packet as if it had arrived by the bridge."""
    with open_socket(namespace, socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, bridge.encode())
        out.sendto(packet, (str(server), DHCP_PORT))


def running_in(namespace: str) -> tuple[int, ...]:
    """Return the pids of all dnsmasq in a network namespace."""
    return tuple(pid for pid in processes_in(namespace) if proc.program_name(pid) == PROGRAM)


def _is_newer(file: Path, than: Path) -> bool:
    return file.stat().st_mtime_ns > than.stat().st_mtime_ns


def truncate_log(log: Path) -> None:
    """Empty a log that is too long; dnsmasq appends, so it goes on at the beginning."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        os.truncate(log, 0)


def _put(path: Path, text: str) -> bool:
    """Write the file where its content differs; return whether it did."""
    if path.exists() and path.read_text() == text:
        return False
    write_atomic(path, text, mode=0o644, durable=False)
    return True
