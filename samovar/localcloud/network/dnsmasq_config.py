"""What a network's dnsmasq serves, as the text of its files: leases by MAC and names. Pure."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from samovar.localcloud.network.confined import DNSMASQ_USER, FOLDER, SERVER_GROUP
from samovar.localcloud.network.mirrors import Mirror
from samovar.localcloud.network.names import API, API_NAME, DOMAIN, bridge, gateway, name_server
from samovar.localcloud.network.spec import Network, Nic, Subnet

LEASE_TIME = "12h"


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
    """The text of dnsmasq's files. It reads `hosts` and `dhcp_hosts` again when it is told to."""

    configuration: str
    hosts: str
    dhcp_hosts: str


@dataclass(frozen=True)
class Lease:
    """An address that dnsmasq keeps for a MAC."""

    mac: str
    address: IPv4Address


def records(network: Network, files: Files, mirrors: Iterable[Mirror] = ()) -> Records:
    """What `network` comes to as leases and names; of the world only the mirrors have one."""
    return Records(
        configuration="".join(f"{line}\n" for line in _configuration(network, files)),
        hosts="".join(f"{line}\n" for line in _hosts(network, mirrors)),
        dhcp_hosts="".join(f"{nic.mac},{nic.address},{nic.hostname}\n" for nic in network.nics),
    )


def _hosts(network: Network, mirrors: Iterable[Mirror]) -> Iterator[str]:
    """The API has its name in every network: a machine without a way out finds it, and waits for it in vain."""
    mirrors = tuple(mirrors)
    taken = {API_NAME, *(mirror.name for mirror in mirrors)}
    yield f"{API} {API_NAME}"
    yield from (f"{address} {mirror.name}" for mirror in mirrors for address in mirror.addresses)
    yield from (f"{nic.address} {' '.join(_names(nic, taken))}" for nic in network.nics)


def _names(nic: Nic, taken: Collection[str]) -> Iterable[str]:
    """Each once, but for those that are `taken`. One with a dot is whole; one without is found in the search domain."""
    names = (nic.hostname, f"{nic.machine_id}.auto.{DOMAIN}", *nic.aliases)
    whole = (name if "." in name else f"{name}.{DOMAIN}" for name in names)
    return dict.fromkeys(name for name in whole if name not in taken)


def _configuration(network: Network, files: Files) -> Iterator[str]:
    """Every name that is not ours does not exist (`address=/#/`), at once: a guest that asks must not wait.

    `no-ping`, rapid commit and authoritative save a machine 3 s of its boot. Machines are told apart by MAC alone,
    and name nothing themselves.
    """
    yield from ("except-interface=lo", "bind-interfaces", f"user={DNSMASQ_USER}", f"group={SERVER_GROUP}")
    yield from ("no-resolv", "no-poll", "no-hosts", "address=/#/", f"domain={DOMAIN}")
    yield from ("no-ping", "dhcp-rapid-commit", "dhcp-authoritative", "dhcp-ignore-clid", "dhcp-ignore-names")
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
    """Leases of machines that are gone. dnsmasq gives their addresses to no other MAC before they are released."""
    lines = (line.split() for line in leases.splitlines())
    held = [Lease(mac=fields[1], address=IPv4Address(fields[2])) for fields in lines if len(fields) == 5]  # noqa: PLR2004 - time, MAC, address, name, client id
    known = {Lease(mac=nic.mac, address=nic.address) for nic in network.nics}
    return tuple(lease for lease in held if lease not in known)


def release(lease: Lease, server: IPv4Address) -> bytes:
    """The DHCPRELEASE (RFC 2131) by which a machine that is gone would have given its address back to `server`."""
    mac = bytes.fromhex(lease.mac.replace(":", ""))
    ethernet, request, release_type = 1, 1, 7
    head = struct.pack("!BBBBIHH", request, ethernet, len(mac), 0, 1, 0, 0)
    addresses = lease.address.packed + bytes(12)
    options = bytes((53, 1, release_type, 54, 4)) + server.packed + b"\xff"
    return head + addresses + mac.ljust(16, b"\0") + bytes(64 + 128) + b"\x63\x82\x53\x63" + options
