"""Maps a network, as the store holds it, to the value that the fabric takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Protocol

from yandex.cloud.compute.v1.instance_pb2 import Instance, NetworkInterface
from yandex.cloud.loadbalancer.v1.network_load_balancer_pb2 import Listener, NetworkLoadBalancer
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target, TargetGroup
from yandex.cloud.vpc.v1.gateway_pb2 import Gateway
from yandex.cloud.vpc.v1.network_pb2 import Network as VpcNetwork
from yandex.cloud.vpc.v1.route_table_pb2 import RouteTable
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroup as VpcSecurityGroup
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroupRule
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet as VpcSubnet

from samovar.core.constants import ANY_IPV4
from samovar.localcloud.load_balancer.network_load_balancers.controller import health_check
from samovar.localcloud.network.model import Direction, Forward, Network, Nic, Rule, SecurityGroup, Subnet, Transport
from samovar.localcloud.network.names import HEALTH_CHECK_RANGES
from samovar.localcloud.store.derived_values import Derived
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.networks.model import INDEX, range_indexes
from samovar.localcloud.vpc.security_groups.model import SELF

POWERED = frozenset(
    {Instance.PROVISIONING, Instance.STARTING, Instance.RUNNING, Instance.RESTARTING, Instance.STOPPING}
)


@dataclass(frozen=True)
class Interface:
    """An interface as its instance has it, and the security groups that it names.

    `nic` lies in the first range of its subnet, and no way out but a public address is known: the subnet adds both.
    """

    nic: Nic
    groups: tuple[str, ...]


Members = Mapping[str, tuple[IPv4Address, ...]]
"""The addresses in each security group."""


class TargetHealth(Protocol):
    """The health of targets: which a balancer may send to, and which answer their probes."""

    def serves(self, balancer_id: str, target: Target) -> bool: ...

    def answers(self, target: Target) -> bool: ...


def network_value(store: Store, health: TargetHealth, vpc: VpcNetwork) -> Network:
    """Return all of a network: subnets, interfaces, balancers that have targets in it, and security groups in use."""
    subnets = [subnet for subnet in store.all(VpcSubnet) if subnet.network_id == vpc.id]
    by_id = {subnet.id: subnet for subnet in subnets}
    interfaces = [each for owned in INTERFACES.of(store).values() for each in owned if each.nic.subnet_id in by_id]
    outward = {subnet.id for subnet in subnets if _has_gateway(store, subnet)}
    adding = outward | {subnet.id for subnet in subnets if len(subnet.v4_cidr_blocks) > 1}
    members = _members(interfaces, vpc.default_security_group_id)
    groups = [group for group in store.all(VpcSecurityGroup) if group.id in members]
    balancers = store.all(NetworkLoadBalancer)
    return Network(
        id=vpc.id,
        index=store.must_note(vpc.id, INDEX),
        subnets=tuple(each for subnet in subnets for each in _ranges(store, subnet)),
        nics=tuple(
            _placed(each.nic, by_id[each.nic.subnet_id], outward) if each.nic.subnet_id in adding else each.nic
            for each in interfaces
        ),
        forwards=tuple(forward for balancer in balancers for forward in _forwards(store, health, balancer, set(by_id))),
        security_groups=tuple(_security_group(group, members) for group in groups),
    )


def _ranges(store: Store, subnet: VpcSubnet) -> Iterator[Subnet]:
    """Yield the ranges of a subnet: each is a bridge of its own."""
    for cidr, index in range_indexes(store, subnet).items():
        yield Subnet(_range_id(subnet, cidr), index, IPv4Network(cidr), subnet.zone_id)


def _range_id(subnet: VpcSubnet, cidr: str) -> str:
    position = list(subnet.v4_cidr_blocks).index(cidr)
    return f"{subnet.id}-{position}" if position else subnet.id


def _range_of(subnet: VpcSubnet, address: IPv4Address) -> str:
    """Return the id of the range that an address is in."""
    return next(_range_id(subnet, cidr) for cidr in subnet.v4_cidr_blocks if address in IPv4Network(cidr))


def _interfaces(instance: Instance) -> tuple[Interface, ...]:
    return tuple(Interface(_nic(instance, nic), tuple(nic.security_group_ids)) for nic in instance.network_interfaces)


def _nic(instance: Instance, nic: NetworkInterface) -> Nic:
    public = nic.primary_v4_address.one_to_one_nat.address
    return Nic(
        machine_id=instance.id,
        subnet_id=nic.subnet_id,
        mac=nic.mac_address,
        address=IPv4Address(nic.primary_v4_address.address),
        hostname=instance.fqdn.split(".")[0],
        plugged=instance.status in POWERED,
        aliases=(instance.fqdn, *(record.fqdn.rstrip(".") for record in nic.primary_v4_address.dns_records)),
        public=IPv4Address(public) if public else None,
        egress=bool(public),
    )


INTERFACES = Derived(Instance, _interfaces)


def _placed(nic: Nic, subnet: VpcSubnet, outward: set[str]) -> Nic:
    """Return an interface in its range of the subnet, with the way out that a subnet in `outward` has."""
    return replace(nic, subnet_id=_range_of(subnet, nic.address), egress=nic.egress or subnet.id in outward)


def _has_gateway(store: Store, subnet: VpcSubnet) -> bool:
    """Return whether the subnet's route table sends to a NAT gateway what leaves the cloud."""
    table = store.get(RouteTable, subnet.route_table_id)
    world = [route for route in table.static_routes if route.destination_prefix == ANY_IPV4] if table else []
    return any(store.get(Gateway, route.gateway_id) for route in world)


def _forwards(
    store: Store, health: TargetHealth, balancer: NetworkLoadBalancer, subnet_ids: set[str]
) -> Iterator[Forward]:
    """Yield the listeners of a balancer, which belongs to the network of its targets."""
    checked = [
        (target, health_check(attached.health_checks[0], attached.health_checks[0].name).port)
        for attached in balancer.attached_target_groups
        for target in _targets(store, attached.target_group_id)
    ]
    if not any(target.subnet_id in subnet_ids for target, _ in checked):
        return
    for listener in balancer.listeners:
        yield Forward(
            address=IPv4Address(listener.address),
            port=listener.port,
            transport=Transport.UDP if listener.protocol == Listener.UDP else Transport.TCP,
            target_port=listener.target_port,
            targets=tuple(IPv4Address(target.address) for target, _ in checked if health.serves(balancer.id, target)),
            registered=tuple(IPv4Address(target.address) for target, _ in checked),
            checked=tuple((IPv4Address(target.address), port) for target, port in checked),
        )


def _targets(store: Store, target_group_id: str) -> Iterable[Target]:
    group = store.get(TargetGroup, target_group_id)
    return group.targets if group else ()


def _members(interfaces: Iterable[Interface], default: str) -> Members:
    """Return the members of each group. An interface that names none is in the network's default group."""
    members: defaultdict[str, list[IPv4Address]] = defaultdict(list)
    for interface in interfaces:
        for group_id in interface.groups or (default,):
            members[group_id].append(interface.nic.address)
    return {group_id: tuple(addresses) for group_id, addresses in members.items()}


def _security_group(group: VpcSecurityGroup, members: Members) -> SecurityGroup:
    return SecurityGroup(
        members=members[group.id], rules=tuple(_rule(rule, _peers(rule, group.id, members)) for rule in group.rules)
    )


def _rule(rule: SecurityGroupRule, peers: tuple[IPv4Network, ...]) -> Rule:
    return Rule(
        direction=Direction.INGRESS if rule.direction == SecurityGroupRule.INGRESS else Direction.EGRESS,
        peers=peers,
        protocol=rule.protocol_number if rule.protocol_number >= 0 else None,
        ports=(rule.ports.from_port, rule.ports.to_port) if rule.HasField("ports") else None,
    )


def _peers(rule: SecurityGroupRule, own: str, members: Members) -> tuple[IPv4Network, ...]:
    """Return the ranges that a rule is about; without a target, or for a group without members, there are none."""
    if rule.WhichOneof("target") == "cidr_blocks":
        return tuple(map(IPv4Network, rule.cidr_blocks.v4_cidr_blocks))
    if rule.predefined_target not in ("", SELF):
        return HEALTH_CHECK_RANGES
    group_id = own if rule.predefined_target == SELF else rule.security_group_id
    return tuple(map(IPv4Network, members.get(group_id, ())))
