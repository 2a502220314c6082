"""Maps a network, as the store holds it, to the value that the fabric takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
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

from samovar.core.units import ANY_IPV4
from samovar.localcloud.load_balancer.network_load_balancers.controller import health_check
from samovar.localcloud.network.model import Direction, Forward, Network, Nic, Rule, SecurityGroup, Subnet, Transport
from samovar.localcloud.network.names import HEALTH_CHECK_RANGES
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.networks.model import INDEX, range_indexes
from samovar.localcloud.vpc.security_groups.model import SELF

POWERED = frozenset(
    {Instance.PROVISIONING, Instance.STARTING, Instance.RUNNING, Instance.RESTARTING, Instance.STOPPING}
)

Members = Mapping[str, tuple[IPv4Address, ...]]
"""The addresses in each security group."""


class TargetHealth(Protocol):
    """The health of targets: which a balancer may send to, and which answer their probes."""

    def serves(self, balancer_id: str, target: Target) -> bool: ...

    def answers(self, target: Target) -> bool: ...


def network_value(store: Store, health: TargetHealth, vpc: VpcNetwork) -> Network:
    """Returns all of a network: subnets, interfaces, balancers that have targets in it, and security groups in use."""
    subnets = [subnet for subnet in store.all(VpcSubnet) if subnet.network_id == vpc.id]
    by_id = {subnet.id: subnet for subnet in subnets}
    ids = set(by_id)
    instances = [i for i in store.all(Instance) if ids & {nic.subnet_id for nic in i.network_interfaces}]
    interfaces = [(instance, nic) for instance in instances for nic in instance.network_interfaces]
    outward = {subnet.id for subnet in subnets if _has_gateway(store, subnet)}
    members = _members(instances, vpc.default_security_group_id)
    groups = [group for group in store.all(VpcSecurityGroup) if group.id in members]
    balancers = store.all(NetworkLoadBalancer)
    return Network(
        id=vpc.id,
        index=store.must_note(vpc.id, INDEX),
        subnets=tuple(each for subnet in subnets for each in _ranges(store, subnet)),
        nics=tuple(_nic(owner, nic, by_id[nic.subnet_id], outward) for owner, nic in interfaces),
        forwards=tuple(forward for balancer in balancers for forward in _forwards(store, health, balancer, ids)),
        security_groups=tuple(_security_group(group, members) for group in groups),
    )


def _ranges(store: Store, subnet: VpcSubnet) -> Iterator[Subnet]:
    """Yields the ranges of a subnet: each is a bridge of its own."""
    for cidr, index in range_indexes(store, subnet).items():
        yield Subnet(_range_id(subnet, cidr), index, IPv4Network(cidr), subnet.zone_id)


def _range_id(subnet: VpcSubnet, cidr: str) -> str:
    position = list(subnet.v4_cidr_blocks).index(cidr)
    return f"{subnet.id}-{position}" if position else subnet.id


def _range_of(subnet: VpcSubnet, address: IPv4Address) -> str:
    """Returns the id of the range that an address is in."""
    return next(_range_id(subnet, cidr) for cidr in subnet.v4_cidr_blocks if address in IPv4Network(cidr))


def _nic(instance: Instance, nic: NetworkInterface, subnet: VpcSubnet, outward: set[str]) -> Nic:
    """Returns an interface of an instance; `outward` are the subnets that have a NAT gateway."""
    public = nic.primary_v4_address.one_to_one_nat.address
    address = IPv4Address(nic.primary_v4_address.address)
    return Nic(
        machine_id=instance.id,
        subnet_id=_range_of(subnet, address),
        mac=nic.mac_address,
        address=address,
        hostname=instance.fqdn.split(".")[0],
        plugged=instance.status in POWERED,
        aliases=(instance.fqdn, *(record.fqdn.rstrip(".") for record in nic.primary_v4_address.dns_records)),
        public=IPv4Address(public) if public else None,
        egress=bool(public) or nic.subnet_id in outward,
    )


def _has_gateway(store: Store, subnet: VpcSubnet) -> bool:
    """Returns whether the subnet's route table sends to a NAT gateway what leaves the cloud."""
    table = store.get(RouteTable, subnet.route_table_id)
    world = [route for route in table.static_routes if route.destination_prefix == ANY_IPV4] if table else []
    return any(store.get(Gateway, route.gateway_id) for route in world)


def _forwards(
    store: Store, health: TargetHealth, balancer: NetworkLoadBalancer, subnet_ids: set[str]
) -> Iterator[Forward]:
    """Yields the listeners of a balancer, which belongs to the network of its targets."""
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


def _members(instances: Iterable[Instance], default: str) -> Members:
    """Returns the members of each group. An interface that names none is in the network's default group."""
    members: defaultdict[str, tuple[IPv4Address, ...]] = defaultdict(tuple)
    for nic in (nic for instance in instances for nic in instance.network_interfaces):
        for group_id in nic.security_group_ids or [default]:
            members[group_id] += (IPv4Address(nic.primary_v4_address.address),)
    return members


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
    """Returns the ranges that a rule is about; without a target, or for a group without members, there are none."""
    if rule.WhichOneof("target") == "cidr_blocks":
        return tuple(map(IPv4Network, rule.cidr_blocks.v4_cidr_blocks))
    if rule.predefined_target not in ("", SELF):
        return HEALTH_CHECK_RANGES
    group_id = own if rule.predefined_target == SELF else rule.security_group_id
    return tuple(map(IPv4Network, members.get(group_id, ())))
