"""The fabric on this host's kernel: it computes what should be, looks at what is, and makes up the difference."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from ipaddress import IPv4Address
from itertools import product
from pathlib import Path

from samovar.core import proc
from samovar.core.errors import HostError
from samovar.core.files import write_private
from samovar.core.waiting import Pending, wait_for_async
from samovar.localcloud.network import dnsmasq, egress, iproute, namespaces, uplink
from samovar.localcloud.network.dnsmasq import Files, Records, records, release, stale
from samovar.localcloud.network.egress import Mirrors
from samovar.localcloud.network.health_checks import Result, Target
from samovar.localcloud.network.links import Links, Port, changes, forwarding, links, missing, raising, sysctls
from samovar.localcloud.network.model import Network
from samovar.localcloud.network.names import INTERFACE, Names, bridge, gateway, name_server, port
from samovar.localcloud.network.nftables import ruleset
from samovar.localcloud.network.probes import LoopThread, probe

FILE = "footprint.json"


@dataclass(frozen=True)
class Footprint:
    """A network's index, and the ports of its machines by machine id."""

    index: int
    ports: Mapping[str, str] = field(default_factory=dict)


def read_footprint(folder: Path) -> Footprint | None:
    """None for a network that never was on this host, or was removed.

    So is one whose file was torn by a power cut of the host, which took the network with it.
    """
    try:
        return Footprint(**json.loads((folder / FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_footprint(folder: Path, footprint: Footprint) -> None:
    """Written whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(folder / FILE, json.dumps(asdict(footprint)))


NO_IPV6 = {"ipv6/conf/all/disable_ipv6": "1", "ipv6/conf/default/disable_ipv6": "1"}
CARRIER = 10.0


@dataclass(frozen=True)
class Wanted:
    """All that a network should be on the host. A part that is as it was at the last call is not touched."""

    rules: str
    links: Links
    public: frozenset[IPv4Address]
    records: Records
    has_way_out: bool


def _is_on_host(link: str) -> bool:
    return link in (name for _, name in socket.if_nameindex())


async def _carrying(netns: str, ports: Sequence[str]) -> None:
    """Waits until the bridges forward: a machine that loses its first DHCP packet waits for 4 s."""

    def look() -> bool | Pending:
        waiting = namespaces.not_running(ports, netns)
        return Pending(f"{', '.join(waiting)} without a carrier") if waiting else True

    if ports:
        await wait_for_async(f"ports in {netns}", look, timeout=CARRIER, interval=0.001, ceiling=0.02)


def _prepare(ports: Iterable[Port]) -> None:
    for made in ports:
        namespaces.write_sysctls(NO_IPV6, made.namespace)
        namespaces.bring_up(INTERFACE, made.namespace)


class KernelFabric:
    """`Fabric` by namespaces, bridges, nftables and dnsmasq, for cloud `number` (1-254); `folder` keeps its leases."""

    def __init__(self, number: int, folder: Path, mirrors: Mirrors | None = None) -> None:
        self._names = Names(number)
        self._folder = folder
        self._mirrors = mirrors or Mirrors()
        self._probes = LoopThread("probes")
        self._applied: dict[str, Wanted] = {}
        self._cut: set[str] = set()
        self._footprints: dict[str, Footprint] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def apply(self, network: Network) -> None:
        """After a failure, a power cut or a restart of the daemon the whole network is looked at again."""
        files = Files(self._folder / network.id)
        wanted = self._wanted(network, files)
        dnsmasq.bound(files.log)
        async with self._locks[network.id]:
            last = self._applied.pop(network.id, None)
            if network.id in self._cut:
                self._cut.discard(network.id)
                last = None
            if last != wanted or not self._is_served(network, files):
                await self._bring_in_line(network, wanted, last)
            self._applied[network.id] = wanted

    def _wanted(self, network: Network, files: Files) -> Wanted:
        mirrors = self._mirrors.known() if any(nic.egress for nic in network.nics) else ()
        return Wanted(
            rules=ruleset(network, mirrors),
            links=links(network, self._names),
            public=uplink.public_addresses(network, self._names),
            records=records(network, files, mirrors),
            has_way_out=any(mirror.addresses for mirror in mirrors),
        )

    async def remove(self, network_id: str) -> None:
        async with self._locks[network_id]:
            self._applied.pop(network_id, None)
            if left := self._footprint(network_id):
                await self._wipe(left.index, {self._names.machine(machine) for machine in left.ports})
                shutil.rmtree(self._folder / network_id)
                del self._footprints[network_id]

    async def unplug(self, network_id: str, machine_id: str) -> None:
        """Waits for no other call. The next `apply` makes the machine's interface anew, or none without power."""
        known = self._footprint(network_id)
        if known and machine_id in known.ports:
            await iproute.take_down(self._names.network(known.index), known.ports[machine_id])
            self._cut.add(network_id)

    async def forget_flows(self, network_id: str, target: IPv4Address) -> None:
        await iproute.drop_flows(self._netns(network_id), target)

    def netns_of(self, machine_id: str) -> str:
        return self._names.machine(machine_id)

    def socket_in(self, network_id: str, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        return namespaces.open_socket(self._netns(network_id), family, kind)

    async def probe(self, target: Target) -> Result:
        return await self._probes.run(partial(probe, self.socket_in, target))

    async def routed(self) -> frozenset[IPv4Address]:
        return await iproute.routed_into(self._names.host_link_prefix)

    async def close(self) -> None:
        await self._probes.close()
        await self._mirrors.close()
        for folder in self._folder.glob("*/"):
            await self.remove(folder.name)
        for index in self._left_behind():
            await self._wipe(index, set())
        await iproute.batch("ip", [f"netns del {name}" for name in namespaces.existing(self._names.prefix)])

    def _is_served(self, network: Network, files: Files) -> bool:
        """Whether the processes are there that the network had."""
        return bool(dnsmasq.serving(files)) and not egress.has_died(self._names.network(network.index), files.folder)

    def _left_behind(self) -> set[int]:
        """Indices of networks that are on the host, whether or not they were written down."""
        by_netns = (name.removeprefix(self._names.prefix) for name in namespaces.existing(self._names.prefix))
        by_link = (name.removeprefix(self._names.host_link_prefix) for _, name in socket.if_nameindex())
        return {int(index) for index in (*by_netns, *by_link) if index.isdigit()}

    def _footprint(self, network_id: str) -> Footprint | None:
        if network_id not in self._footprints and (known := read_footprint(self._folder / network_id)):
            self._footprints[network_id] = known
        return self._footprints.get(network_id)

    def _remember(self, network_id: str, now: Footprint) -> None:
        if self._footprint(network_id) != now:
            write_footprint(self._folder / network_id, now)
            self._footprints[network_id] = now

    def _netns(self, network_id: str) -> str:
        known = self._footprint(network_id)
        if known is None:
            raise HostError(f"network {network_id} is not on this host")
        return self._names.network(known.index)

    async def _bring_in_line(self, network: Network, wanted: Wanted, last: Wanted | None) -> None:
        """Rules come first: what a machine may do is settled before it has a cable."""
        before = self._footprint(network.id)
        ports = {nic.machine_id: port(nic) for nic in network.nics}
        known = {**(before.ports if before else {}), **ports}
        self._remember(network.id, Footprint(network.index, known))
        if last is None:
            await self._lay(network.index)
        if last is None or last.rules != wanted.rules:
            await iproute.load_rules(wanted.rules, self._names.network(network.index))
        if last is None or last.links != wanted.links:
            await self._connect(network.index, wanted.links, {self._names.machine(machine) for machine in known})
        if last is None or last.public != wanted.public:
            await self._publish(network.index, wanted.public)
        folder = self._folder / network.id
        await egress.bring_in_line(self._names.network(network.index), folder, wanted=wanted.has_way_out)
        await self._serve(network, wanted.records, again=last is None)
        self._remember(network.id, Footprint(network.index, ports))

    async def _lay(self, index: int) -> None:
        """The network's namespace, and its cable to the host."""
        netns, host_link = self._names.network(index), self._names.host_link(index)
        if not namespaces.is_whole(netns):
            await self._wipe(index, set())
            await iproute.batch("ip", [f"netns add {netns}"])
        if not _is_on_host(host_link):
            await iproute.batch("ip", [uplink.lay(netns, host_link, self._names.uplink_macs(index))])
        namespaces.write_sysctls(uplink.host_sysctls(host_link))
        await iproute.batch("ip", uplink.inside(self._names.uplink_macs(index)), netns)

    async def _connect(self, index: int, wanted: Links, machines: set[str]) -> None:
        netns = self._names.network(index)
        seen = await iproute.look(netns, namespaces.existing(self._names.prefix) & machines)
        await iproute.batch("ip", changes(wanted, seen), netns)
        namespaces.write_sysctls(sysctls(wanted), netns)
        new = missing(wanted, seen)
        await asyncio.to_thread(_prepare, new)
        await iproute.batch("ip", raising(new), netns)
        await _carrying(netns, [made.name for made in new])
        await iproute.batch("bridge", forwarding(wanted), netns)

    async def _publish(self, index: int, public: frozenset[IPv4Address]) -> None:
        host_link = self._names.host_link(index)
        lines = uplink.on_host(host_link, self._names.uplink_macs(index), public, await iproute.routed(host_link))
        await iproute.batch("ip", lines)

    async def _serve(self, network: Network, wanted: Records, *, again: bool) -> None:
        files = Files(self._folder / network.id)
        address = name_server(network.subnets[0]) if network.subnets else None
        await dnsmasq.serve(self._names.network(network.index), files, wanted, address, again=again)
        leases = files.leases.read_text() if files.leases.exists() else ""
        for lease, subnet in product(stale(leases, network), network.subnets):
            if lease.address in subnet.cidr:
                packet = release(lease, gateway(subnet))
                dnsmasq.tell(self._netns(network.id), bridge(subnet), gateway(subnet), packet)

    async def _wipe(self, index: int, machines: set[str]) -> None:
        netns, host_link = self._names.network(index), self._names.host_link(index)
        there = namespaces.existing(self._names.prefix)
        await egress.shut(netns)
        if netns in there:
            for pid in dnsmasq.among(namespaces.processes_in(netns)):
                await asyncio.to_thread(proc.terminate, pid)
        if _is_on_host(host_link):
            await iproute.batch("ip", [f"link del {host_link}"])
        await iproute.batch("ip", [f"netns del {name}" for name in sorted(there & {netns, *machines})])
