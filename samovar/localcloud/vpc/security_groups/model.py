"""Security groups in the store, and what their rules must hold.

A network has a default group, for the interfaces that name none.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Network, IPv6Network, NetmaskValueError

from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.vpc.v1 import security_group_service_pb2 as rpc
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroup, SecurityGroupRule

from samovar.core.constants import ANY_IPV4
from samovar.localcloud.api.errors import invalid
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository, fill, require, stamp
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store

PROTOCOLS = {"ANY": -1, "ICMP": 1, "TCP": 6, "UDP": 17, "GRE": 47, "ESP": 50, "AH": 51, "IPV6_ICMP": 58}
WITH_PORTS = frozenset({PROTOCOLS["ANY"], PROTOCOLS["TCP"], PROTOCOLS["UDP"]})
SELF = "self_security_group"
PREDEFINED = frozenset({SELF, "loadbalancer_healthchecks"})
MAX_RULES, MAX_CIDRS, MAX_PER_INTERFACE = 50, 50, 5
ID_PREFIX = "enp"


class SecurityGroups(Repository[SecurityGroup]):
    """The security groups of all networks."""

    kind, id_prefix = SecurityGroup, ID_PREFIX
    count_quota = Quota("vpc.securityGroups.count", SecurityGroup, 10)

    def add_rules(self, group: SecurityGroup, specs: Iterable[rpc.SecurityGroupRuleSpec]) -> list[str]:
        """Give the group these rules as well; return their ids."""
        rules = [self._rule(group, spec) for spec in specs]
        group.rules.extend(rules)
        if len(group.rules) > MAX_RULES:
            raise invalid(f"a security group has at most {MAX_RULES} rules", "rule_specs")
        return [rule.id for rule in rules]

    def users(self, group: SecurityGroup) -> list[str]:
        """Return what keeps a group from being deleted: instances and rules of other groups."""
        return [*_interfaces(self.store, group.id), *_referring(self.store, group)]

    def _rule(self, group: SecurityGroup, spec: rpc.SecurityGroupRuleSpec) -> SecurityGroupRule:
        rule = SecurityGroupRule(id=new_id(ID_PREFIX))
        fill(rule, spec)
        _fill_protocol(rule, spec)
        _check_ports(rule)
        _check_target(rule)
        if rule.security_group_id and rule.security_group_id != group.id:
            check_security_groups(self.store, group.network_id, [rule.security_group_id])
        return rule


def default_group(network: Network) -> SecurityGroup:
    """Return a new network's default group: it lets everything through, until its owner gives it other rules.

    Sources: pages of 2025, as that of Resource Manager on new folders; security-groups.md, as last published in the
    open, let in the group itself, SSH, RDP and ICMP alone.
    """
    group = SecurityGroup(
        id=new_id(ID_PREFIX),
        folder_id=network.folder_id,
        name=f"default-sg-{network.id}",
        network_id=network.id,
        status=SecurityGroup.ACTIVE,
        default_for_network=True,
    )
    stamp(group)
    for direction in (SecurityGroupRule.INGRESS, SecurityGroupRule.EGRESS):
        rule = group.rules.add(id=new_id(ID_PREFIX), direction=direction, protocol_number=PROTOCOLS["ANY"])
        rule.protocol_name, rule.cidr_blocks.v4_cidr_blocks[:] = "ANY", [ANY_IPV4]
    return group


def check_security_groups(store: Store, network_id: str, group_ids: Iterable[str]) -> None:
    """Refuse groups that do not exist, or that are of another network than the interface or rule."""
    ids = list(group_ids)
    if len(ids) > MAX_PER_INTERFACE:
        raise invalid(f"an interface has at most {MAX_PER_INTERFACE} security groups", "security_group_ids")
    for group_id in ids:
        group = require(store, SecurityGroup, group_id)
        if group.network_id != network_id:
            raise invalid(f"SecurityGroup {group_id} is of the network {group.network_id}", "security_group_ids")


def _fill_protocol(rule: SecurityGroupRule, spec: rpc.SecurityGroupRuleSpec) -> None:
    """Set both the name and the number of the protocol, from either; without one it is any protocol."""
    names = {number: name for name, number in PROTOCOLS.items()}
    name = spec.protocol_name.upper() or "ANY"
    if spec.WhichOneof("protocol") == "protocol_number":
        name = names.get(spec.protocol_number, "")
    if name not in PROTOCOLS:
        requested = spec.protocol_name or spec.protocol_number
        raise invalid(f"protocol {requested}: the local cloud knows {', '.join(PROTOCOLS)}", "protocol_name")
    rule.protocol_name, rule.protocol_number = name, PROTOCOLS[name]


def _check_ports(rule: SecurityGroupRule) -> None:
    if not rule.HasField("ports"):
        return
    if rule.protocol_number not in WITH_PORTS:
        raise invalid(f"{rule.protocol_name} has no ports", "ports")
    if rule.ports.from_port > rule.ports.to_port:
        raise invalid(f"ports {rule.ports.from_port}-{rule.ports.to_port} are no range", "ports")


def _check_target(rule: SecurityGroupRule) -> None:
    blocks = rule.cidr_blocks
    if rule.predefined_target and rule.predefined_target not in PREDEFINED:
        raise invalid(f"predefined_target {rule.predefined_target} is not known", "predefined_target")
    if rule.WhichOneof("target") != "cidr_blocks":
        return
    if not 0 < len(blocks.v4_cidr_blocks) + len(blocks.v6_cidr_blocks) <= MAX_CIDRS:
        raise invalid(f"a rule has 1 to {MAX_CIDRS} ranges", "cidr_blocks")
    try:
        for text in blocks.v4_cidr_blocks:
            IPv4Network(text)
        for text in blocks.v6_cidr_blocks:
            IPv6Network(text)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise invalid(f"{error}", "cidr_blocks") from error


def _interfaces(store: Store, group_id: str) -> list[str]:
    return [
        f"the instance {instance.id}"
        for instance in store.all(Instance)
        if any(group_id in nic.security_group_ids for nic in instance.network_interfaces)
    ]


def _referring(store: Store, group: SecurityGroup) -> list[str]:
    return [
        f"a rule of {other.id}"
        for other in store.all(SecurityGroup)
        if other.id != group.id and any(rule.security_group_id == group.id for rule in other.rules)
    ]
