"""Brings the kernel's networks in line with the store: subnets, interfaces, and where balancers send."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from ipaddress import IPv4Address

from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.loadbalancer.v1.target_group_pb2 import TargetGroup
from yandex.cloud.vpc.v1.network_pb2 import Network as VpcNetwork
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet as VpcSubnet

from samovar.localcloud.network.model import Fabric, Network
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.networks.network_mapping import Judge, network_value


class Networks:
    """`step` looks at all networks; `ensure` waits until one is what the store says."""

    def __init__(self, store: Store, fabric: Fabric, judge: Judge) -> None:
        self._store = store
        self._fabric = fabric
        self._judge = judge
        self._applied: dict[str, Network] = {}
        self._owners: dict[str, dict[str, str]] = {}
        self._values: dict[str, tuple[int, Network]] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def step(self) -> None:
        """Side by side: one that fails, or takes its time, holds up no other."""
        wanted = {network.id for network in self._store.all(VpcNetwork)}
        gone = self._applied.keys() - wanted
        work = (*map(self.ensure, wanted), *map(self._remove, gone))
        ended = await asyncio.gather(*work, return_exceptions=True)
        if failures := [failure for failure in ended if isinstance(failure, Exception)]:
            raise ExceptionGroup("of the networks", failures)

    async def ensure(self, network_id: str) -> None:
        async with self._locks[network_id]:
            vpc = self._store.get(VpcNetwork, network_id)
            if vpc is None:
                return
            wanted, before = self._value(vpc), self._applied.get(network_id)
            await self._fabric.apply(wanted)
            self._applied[network_id] = wanted
            if before is None or before.nics != wanted.nics:
                self._owners[network_id] = {str(nic.address): nic.machine_id for nic in wanted.nics}
            for address in lost(before, wanted, self._silent()) if before and before is not wanted else ():
                await self._fabric.forget_flows(network_id, address)

    def _value(self, vpc: VpcNetwork) -> Network:
        """The same object as long as the store is what it was: all that it is made of stands there."""
        revision, value = self._values.get(vpc.id, (-1, None))
        if value is None or revision != self._store.revision:
            value = network_value(self._store, self._judge, vpc)
            self._values[vpc.id] = self._store.revision, value
        return value

    async def _remove(self, network_id: str) -> None:
        await self._fabric.remove(network_id)
        del self._applied[network_id], self._owners[network_id]
        self._values.pop(network_id, None)

    def machine_at(self, network_id: str, address: str) -> str | None:
        """The id of the machine that has this address in a network that the kernel holds now."""
        return self._owners.get(network_id, {}).get(address)

    def up(self) -> tuple[Network, ...]:
        """The networks that the kernel holds now."""
        return tuple(self._applied.values())

    def _silent(self) -> frozenset[IPv4Address]:
        """Registered targets of which nothing is heard."""
        targets = (target for group in self._store.all(TargetGroup) for target in group.targets)
        return frozenset(IPv4Address(target.address) for target in targets if not self._judge.answers(target))


def network_of(store: Store, instance: Instance) -> str:
    """The id of the network that an instance's interface is in."""
    return store.must(VpcSubnet, instance.network_interfaces[0].subnet_id).network_id


def lost(before: Network, now: Network, silent: frozenset[IPv4Address]) -> frozenset[IPv4Address]:
    """The addresses whose flows are to be ended: nobody will answer them.

    A machine that lost its power or is gone, and a registered target that is no longer sent to because it is `silent`.
    One that says itself that it is not well, or was taken out of its target group, goes on with the requests that it
    has, if it is the machine that it was: what was sent to a dead one would reach its heir.
    """
    kept = _plugged(before) & _plugged(now)
    unplugged = {address for _, address in _plugged(before) - kept}
    left = _targets(before) - _targets(now)
    return frozenset(unplugged | (left & silent) | (left - {address for _, address in kept}))


def _plugged(network: Network) -> set[tuple[str, IPv4Address]]:
    return {(nic.machine_id, nic.address) for nic in network.nics if nic.plugged}


def _targets(network: Network) -> set[IPv4Address]:
    return {target for forward in network.forwards for target in forward.targets}
