"""Brings the kernel's networks in line with the store: subnets, interfaces, and where balancers send."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.vpc.v1.network_pb2 import Network as VpcNetwork

from samovar.localcloud.network.model import Fabric, Network
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.networks.network_mapping import TargetHealth, network_value


class NetworkController:
    """`reconcile` looks at all networks; `ensure` waits until one is as the store describes it."""

    def __init__(self, store: Store, fabric: Fabric, health: TargetHealth) -> None:
        self._store = store
        self._fabric = fabric
        self._health = health
        self.has_name_by_now: Callable[[str], bool] | None = None
        """Whether it is time for DNS to have the names of a machine, by its id; without it they are there at once."""
        self._applied: dict[str, Network] = {}
        self._values: dict[str, tuple[int, Network]] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def reconcile(self) -> None:
        """Work on all networks side by side: one that fails, or takes its time, holds up no other."""
        stored = {network.id for network in self._store.all(VpcNetwork)}
        work = (*map(self.ensure, stored), *map(self._remove, self._applied.keys() - stored))
        ended = await asyncio.gather(*work, return_exceptions=True)
        if failures := [failure for failure in ended if isinstance(failure, Exception)]:
            raise ExceptionGroup("of the networks", failures)

    async def ensure(self, network_id: str) -> None:
        async with self._locks[network_id]:
            vpc = self._store.get(VpcNetwork, network_id)
            if vpc is None:
                return
            desired, before = self._value(vpc), self._applied.get(network_id)
            await self._fabric.apply(desired)
            self._applied[network_id] = desired
            for address in lost(before, desired, self._silent()) if before and before is not desired else ():
                await self._fabric.forget_flows(network_id, address)

    def _value(self, vpc: VpcNetwork) -> Network:
        """Return the network as the fabric takes it: the same object as long as the store does not change."""
        revision, value = self._values.get(vpc.id, (-1, None))
        if value is None or revision != self._store.revision:
            value = network_value(self._store, self._health, vpc)
            self._values[vpc.id] = self._store.revision, value
        return _with_names(value, self.has_name_by_now) if self.has_name_by_now else value

    async def _remove(self, network_id: str) -> None:
        await self._fabric.remove(network_id)
        del self._applied[network_id]
        self._values.pop(network_id, None)

    def machine_at(self, network_id: str, address: str) -> str | None:
        """Return the id of the machine that has this address in a network that the kernel holds now."""
        network = self._applied.get(network_id)
        asked = IPv4Address(address)
        return next((nic.machine_id for nic in network.nics if nic.address == asked), None) if network else None

    def up(self) -> tuple[Network, ...]:
        """Return the networks that the kernel holds now."""
        return tuple(self._applied.values())

    def socket_at(self, network_id: str, address: str, port: int) -> socket.socket:
        """Return a TCP socket in a network's own namespace, bound to an address of the network's services."""
        sock = self._fabric.socket_in(network_id, socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        return sock

    def _silent(self) -> frozenset[IPv4Address]:
        """Return the registered targets that do not answer their probes."""
        targets = (target for group in self._store.all(TargetGroup) for target in group.targets)
        return frozenset(IPv4Address(target.address) for target in targets if not self._health.answers(target))


def lost(before: Network, now: Network, silent: frozenset[IPv4Address]) -> frozenset[IPv4Address]:
    """Return the addresses whose flows are to be ended, for nothing will answer them.

    They belong to machines that lost their power or were deleted, and to registered targets that get no more traffic
    because they are `silent`. A target that answers with an error, or that left its target group, goes on with the
    requests that it has, unless another machine has its address now: that one must not get the flows of a dead one.
    """
    had, have = _plugged(before), _plugged(now)
    unplugged = {had[port] for port in had.keys() - have.keys()}
    left = _targets(before) - _targets(now)
    kept = {had[port] for port in had.keys() & have.keys()} if left else set()
    return frozenset(unplugged | (left & silent) | (left - kept))


def _with_names(network: Network, has_name: Callable[[str], bool]) -> Network:
    unnamed = {nic.machine_id for nic in network.nics if not has_name(nic.machine_id)}
    if not unnamed:
        return network
    return replace(network, nics=tuple(replace(nic, named=nic.machine_id not in unnamed) for nic in network.nics))


def _plugged(network: Network) -> dict[tuple[str, str], IPv4Address]:
    """Return the addresses by machine and MAC, which is made of the address."""
    return {(nic.machine_id, nic.mac): nic.address for nic in network.nics if nic.plugged}


def _targets(network: Network) -> set[IPv4Address]:
    return {target for forward in network.forwards for target in forward.targets}
