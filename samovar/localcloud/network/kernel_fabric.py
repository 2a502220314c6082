"""The fabric brings this host's kernel in line with networks: it compares what should be with what is."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from itertools import product
from pathlib import Path

from samovar.core import proc
from samovar.core.errors import HostError
from samovar.core.waiting import Pending, wait_for_async
from samovar.localcloud.network import dnsmasq, egress, iproute, namespaces
from samovar.localcloud.network.dnsmasq import Files, Records, records, release, stale
from samovar.localcloud.network.egress import Mirrors
from samovar.localcloud.network.footprint import Footprint, read_footprint, write_footprint
from samovar.localcloud.network.health_checks import Result, Target
from samovar.localcloud.network.links import (
    Links,
    Port,
    changes,
    forwarding,
    links,
    missing,
    public_addresses,
    raising,
    sysctls,
    uplink_creation,
    uplink_inside,
    uplink_on_host,
    uplink_sysctls,
)
from samovar.localcloud.network.model import Mirror, Network
from samovar.localcloud.network.names import INTERFACE, Names, bridge, gateway, name_server, port
from samovar.localcloud.network.nftables import ruleset
from samovar.localcloud.network.probes import LoopThread, probe

NO_IPV6 = {"ipv6/conf/all/disable_ipv6": "1", "ipv6/conf/default/disable_ipv6": "1"}
CARRIER_TIMEOUT = 10.0


@dataclass(frozen=True)
class Desired:
    """The state that a network should have on the host. A part that is as it was at the last call is not touched."""

    rules: str
    links: Links
    public: frozenset[IPv4Address]
    records: Records
    has_egress: bool


class KernelFabric:
    """`Fabric` by namespaces, bridges, nftables and dnsmasq, for cloud `number` (1-254); `folder` keeps its leases."""

    def __init__(self, number: int, folder: Path, mirrors: Mirrors | None = None) -> None:
        self._names = Names(number)
        self._folder = folder
        self._mirrors = mirrors or Mirrors()
        self._probes = LoopThread("probes")
        self._applied: dict[str, Desired] = {}
        self._computed: dict[str, tuple[Network, tuple[Mirror, ...], Desired]] = {}
        self._cut: set[str] = set()
        self._footprints: dict[str, Footprint] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def apply(self, network: Network) -> None:
        """Compare the whole network with the host after a failure, a power cut or a restart of the daemon."""
        files = Files(self._folder / network.id)
        desired = self._desired(network, files)
        dnsmasq.truncate_log(files.log)
        async with self._locks[network.id]:
            last = self._applied.pop(network.id, None)
            if network.id in self._cut:
                self._cut.discard(network.id)
                last = None
            if last != desired or not self._is_served(network, files):
                await self._reconcile(network, desired, last)
            self._applied[network.id] = desired

    async def remove(self, network_id: str) -> None:
        async with self._locks[network_id]:
            self._applied.pop(network_id, None)
            self._computed.pop(network_id, None)
            if footprint := self._footprint(network_id):
                await self._delete(footprint.index, {self._names.machine(machine) for machine in footprint.ports})
                shutil.rmtree(self._folder / network_id)
                del self._footprints[network_id]

    async def unplug(self, network_id: str, machine_id: str) -> None:
        """Wait for no other call. The next `apply` makes the machine's interface anew, or none without power."""
        footprint = self._footprint(network_id)
        if footprint and machine_id in footprint.ports:
            await iproute.take_down(self._names.network(footprint.index), footprint.ports[machine_id])
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
        for index in self._leftover_indices():
            await self._delete(index, set())
        await iproute.batch("ip", [f"netns del {name}" for name in namespaces.existing(self._names.prefix)])

    def _desired(self, network: Network, files: Files) -> Desired:
        """Return what was computed before where the network is the same value: it is asked for four times a second."""
        mirrors = self._mirrors.current() if any(nic.egress for nic in network.nics) else ()
        before = self._computed.get(network.id)
        if before is None or before[0] is not network or before[1] != mirrors:
            before = network, mirrors, self._compute(network, files, mirrors)
            self._computed[network.id] = before
        return before[2]

    def _compute(self, network: Network, files: Files, mirrors: tuple[Mirror, ...]) -> Desired:
        return Desired(
            rules=ruleset(network, mirrors),
            links=links(network, self._names),
            public=public_addresses(network, self._names),
            records=records(network, files, mirrors),
            has_egress=any(mirror.addresses for mirror in mirrors),
        )

    def _is_served(self, network: Network, files: Files) -> bool:
        """Return whether the processes run that the network had."""
        has_egress = not egress.has_died(self._names.network(network.index), files.folder)
        return bool(dnsmasq.serving_pid(files)) and has_egress

    def _leftover_indices(self) -> set[int]:
        """Return the indices of networks that are on the host, whether or not they have a footprint."""
        by_netns = (name.removeprefix(self._names.prefix) for name in namespaces.existing(self._names.prefix))
        by_link = (name.removeprefix(self._names.host_link_prefix) for _, name in socket.if_nameindex())
        return {int(index) for index in (*by_netns, *by_link) if index.isdigit()}

    def _footprint(self, network_id: str) -> Footprint | None:
        if network_id not in self._footprints and (footprint := read_footprint(self._folder / network_id)):
            self._footprints[network_id] = footprint
        return self._footprints.get(network_id)

    def _remember(self, network_id: str, footprint: Footprint) -> None:
        if self._footprint(network_id) != footprint:
            write_footprint(self._folder / network_id, footprint)
            self._footprints[network_id] = footprint

    def _netns(self, network_id: str) -> str:
        footprint = self._footprint(network_id)
        if footprint is None:
            raise HostError(f"network {network_id} is not on this host")
        return self._names.network(footprint.index)

    async def _reconcile(self, network: Network, desired: Desired, last: Desired | None) -> None:
        """Load the rules before it connects a machine: what that one may do holds from its first packet."""
        index, before = network.index, self._footprint(network.id)
        ports = {nic.machine_id: port(nic) for nic in network.nics}
        all_ports = {**(before.ports if before else {}), **ports}
        self._remember(network.id, Footprint(index, all_ports))
        if last is None:
            await self._create(index)
        if last is None or last.rules != desired.rules:
            await iproute.load_rules(desired.rules, self._names.network(index))
        if last is None or last.links != desired.links:
            await self._connect(index, desired.links, {self._names.machine(machine) for machine in all_ports})
        if last is None or last.public != desired.public:
            await self._publish(index, desired.public)
        folder = self._folder / network.id
        await egress.reconcile(self._names.network(index), folder, enabled=desired.has_egress)
        await self._serve(network, desired.records, reload=last is None)
        self._remember(network.id, Footprint(index, ports))

    async def _create(self, index: int) -> None:
        """Create the network's namespace, and its uplink to the host."""
        netns, host_link, macs = (
            self._names.network(index),
            self._names.host_link(index),
            self._names.uplink_macs(index),
        )
        if not namespaces.is_mounted(netns):
            await self._delete(index, set())
            await iproute.batch("ip", [f"netns add {netns}"])
        if not _is_on_host(host_link):
            await iproute.batch("ip", [uplink_creation(netns, host_link, macs)])
        namespaces.write_sysctls(uplink_sysctls(host_link))
        await iproute.batch("ip", uplink_inside(macs), netns)

    async def _connect(self, index: int, desired: Links, machines: set[str]) -> None:
        netns = self._names.network(index)
        current = await iproute.current_links(netns, namespaces.existing(self._names.prefix) & machines)
        await iproute.batch("ip", changes(desired, current), netns)
        namespaces.write_sysctls(sysctls(desired), netns)
        new = missing(desired, current)
        await asyncio.to_thread(_prepare, new)
        await iproute.batch("ip", raising(new), netns)
        await _wait_for_carrier(netns, [each.name for each in new])
        await iproute.batch("bridge", forwarding(desired), netns)

    async def _publish(self, index: int, public: frozenset[IPv4Address]) -> None:
        host_link = self._names.host_link(index)
        routed = await iproute.routed(host_link)
        await iproute.batch("ip", uplink_on_host(host_link, self._names.uplink_macs(index), public, routed))

    async def _serve(self, network: Network, desired: Records, *, reload: bool) -> None:
        files = Files(self._folder / network.id)
        address = name_server(network.subnets[0]) if network.subnets else None
        await dnsmasq.serve(self._names.network(network.index), files, desired, address, reload=reload)
        leases = files.leases.read_text() if files.leases.exists() else ""
        for lease, subnet in product(stale(leases, network), network.subnets):
            if lease.address in subnet.cidr:
                packet = release(lease, gateway(subnet))
                dnsmasq.send_dhcp(self._netns(network.id), bridge(subnet), gateway(subnet), packet)

    async def _delete(self, index: int, machines: set[str]) -> None:
        netns, host_link = self._names.network(index), self._names.host_link(index)
        existing = namespaces.existing(self._names.prefix)
        await egress.end(netns)
        if netns in existing:
            for pid in dnsmasq.running_in(netns):
                await asyncio.to_thread(proc.terminate, pid)
        if _is_on_host(host_link):
            await iproute.batch("ip", [f"link del {host_link}"])
        await iproute.batch("ip", [f"netns del {name}" for name in sorted(existing & {netns, *machines})])


def _is_on_host(link: str) -> bool:
    return link in (name for _, name in socket.if_nameindex())


def _prepare(ports: Iterable[Port]) -> None:
    for each in ports:
        namespaces.write_sysctls(NO_IPV6, each.namespace)
        namespaces.bring_up(INTERFACE, each.namespace)


async def _wait_for_carrier(netns: str, ports: Sequence[str]) -> None:
    """Wait until the bridges forward: a machine that loses its first DHCP packet waits for 4 s."""

    def carrier() -> bool | Pending:
        waiting = namespaces.not_running(ports, netns)
        return Pending(f"{', '.join(waiting)} without a carrier") if waiting else True

    if ports:
        await wait_for_async(f"the ports in {netns}", carrier, timeout=CARRIER_TIMEOUT, interval=0.001, ceiling=0.02)
