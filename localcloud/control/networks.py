"""Brings the kernel's networks in line with the store: subnets, interfaces, and where balancers send."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol

from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import Listener, NetworkLoadBalancer
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target, TargetGroup
from yandex.cloud.vpc.v1.gateway_pb2 import Gateway
from yandex.cloud.vpc.v1.network_pb2 import Network as VpcNetwork
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet as VpcSubnet

from localcloud.network.spec import Fabric, Forward, Network, Nic, Subnet, Transport
from localcloud.services.vpc import INDEX
from localcloud.store.store import Store

POWERED = frozenset(
    {Instance.PROVISIONING, Instance.STARTING, Instance.RUNNING, Instance.RESTARTING, Instance.STOPPING}
)


WORLD = "0.0.0.0/0"


class Judge(Protocol):
    """Says which targets a balancer may send to."""

    def serves(self, balancer_id: str, target: Target) -> bool: ...


class Networks:
    """`step` looks at all networks; `ensure` waits until one is what the store says."""

    def __init__(self, store: Store, fabric: Fabric, judge: Judge) -> None:
        self._store = store
        self._fabric = fabric
        self._judge = judge
        self._applied: dict[str, Network] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def step(self) -> None:
        wanted = {network.id for network in self._store.all(VpcNetwork)}
        await asyncio.gather(*(self.ensure(network_id) for network_id in wanted))
        for gone in self._applied.keys() - wanted:
            await self._fabric.remove(gone)
            del self._applied[gone]

    async def ensure(self, network_id: str) -> None:
        async with self._locks[network_id]:
            vpc = self._store.get(VpcNetwork, network_id)
            if vpc is None:
                return
            wanted, before = self._value(vpc), self._applied.get(network_id)
            await self._fabric.apply(wanted)
            self._applied[network_id] = wanted
            for address in lost(before, wanted, self._registered()) if before else ():
                await self._fabric.forget_flows(network_id, address)

    def up(self) -> tuple[Network, ...]:
        """The networks that the kernel holds now."""
        return tuple(self._applied.values())

    def _registered(self) -> frozenset[IPv4Address]:
        return frozenset(
            IPv4Address(target.address) for group in self._store.all(TargetGroup) for target in group.targets
        )

    def _value(self, vpc: VpcNetwork) -> Network:
        subnets = [subnet for subnet in self._store.all(VpcSubnet) if subnet.network_id == vpc.id]
        ids = {subnet.id for subnet in subnets}
        instances = [i for i in self._store.all(Instance) if ids & {nic.subnet_id for nic in i.network_interfaces}]
        return Network(
            id=vpc.id,
            index=self._store.noted(vpc.id, INDEX),
            subnets=tuple(map(self._subnet, subnets)),
            nics=tuple(map(self._nic, instances)),
            forwards=tuple(
                forward
                for balancer in self._store.all(NetworkLoadBalancer)
                for forward in self._forwards(balancer, ids)
            ),
        )

    def _subnet(self, subnet: VpcSubnet) -> Subnet:
        index = self._store.noted(subnet.id, INDEX)
        return Subnet(subnet.id, index, IPv4Network(subnet.v4_cidr_blocks[0]), subnet.zone_id)

    def _nic(self, instance: Instance) -> Nic:
        nic = instance.network_interfaces[0]
        public = nic.primary_v4_address.one_to_one_nat.address
        return Nic(
            machine_id=instance.id,
            subnet_id=nic.subnet_id,
            mac=nic.mac_address,
            address=IPv4Address(nic.primary_v4_address.address),
            hostname=instance.fqdn.split(".")[0],
            plugged=instance.status in POWERED,
            aliases=(instance.fqdn,),
            public=IPv4Address(public) if public else None,
            egress=bool(public) or self._has_gateway(nic.subnet_id),
        )

    def _has_gateway(self, subnet_id: str) -> bool:
        """Whether the subnet's route table sends to a NAT gateway what goes to the world."""
        table = self._store.get(RouteTable, self._store.must(VpcSubnet, subnet_id).route_table_id)
        world = [route for route in table.static_routes if route.destination_prefix == WORLD] if table else []
        return any(self._store.get(Gateway, route.gateway_id) for route in world)

    def _forwards(self, balancer: NetworkLoadBalancer, subnet_ids: set[str]) -> Iterator[Forward]:
        """A balancer belongs to the network of its targets."""
        attached = [self._store.get(TargetGroup, group.target_group_id) for group in balancer.attached_target_groups]
        targets = [target for group in attached if group for target in group.targets]
        if not any(target.subnet_id in subnet_ids for target in targets):
            return
        serving = tuple(IPv4Address(target.address) for target in targets if self._judge.serves(balancer.id, target))
        for listener in balancer.listeners:
            transport = Transport.UDP if listener.protocol == Listener.UDP else Transport.TCP
            yield Forward(IPv4Address(listener.address), listener.port, transport, listener.target_port, serving)


def network_of(store: Store, instance: Instance) -> str:
    """The id of the network that an instance's interface is in."""
    return store.must(VpcSubnet, instance.network_interfaces[0].subnet_id).network_id


def lost(before: Network, now: Network, registered: frozenset[IPv4Address]) -> frozenset[IPv4Address]:
    """The addresses whose flows are to be ended: nobody will answer them.

    A machine that lost its power or is gone, and a target that is still registered but no longer sent to. One that was
    taken out of its target group goes on with the requests that it has.
    """
    unplugged = _plugged(before) - _plugged(now)
    unhealthy = (_targets(before) - _targets(now)) & registered
    return unplugged | unhealthy


def _plugged(network: Network) -> frozenset[IPv4Address]:
    return frozenset(nic.address for nic in network.nics if nic.plugged)


def _targets(network: Network) -> frozenset[IPv4Address]:
    return frozenset(target for forward in network.forwards for target in forward.targets)
