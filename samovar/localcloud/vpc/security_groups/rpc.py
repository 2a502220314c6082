"""yandex.cloud.vpc: security groups. A network has a default one, for the interfaces that name none."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import AddressValueError, IPv4Network, IPv6Network, NetmaskValueError

from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import security_group_service_pb2 as rpc
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroup, SecurityGroupRule

from samovar.core.units import ANY_IPV4
from samovar.localcloud.api.errors import invalid, not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.resources.model import ResourceService, copy_field, fill, masked_paths, page, stamp, update
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store

PROTOCOLS = {"ANY": -1, "ICMP": 1, "TCP": 6, "UDP": 17, "GRE": 47, "ESP": 50, "AH": 51, "IPV6_ICMP": 58}
WITH_PORTS = frozenset({PROTOCOLS["TCP"], PROTOCOLS["UDP"]})
SELF = "self_security_group"
PREDEFINED = frozenset({SELF, "loadbalancer_healthchecks"})
MOST_RULES, MOST_CIDRS, MOST_PER_INTERFACE = 50, 50, 5


class SecurityGroupService(ResourceService[SecurityGroup]):
    """The rules are checked here; the network's own rules are made of them elsewhere."""

    kind, noun, id_field = SecurityGroup, "SecurityGroup", "security_group_id"

    def List(self, request: rpc.ListSecurityGroupsRequest, _: Caller) -> rpc.ListSecurityGroupsResponse:
        found = self.store.all(SecurityGroup, scope=request.folder_id)
        return page(request, rpc.ListSecurityGroupsResponse(), "security_groups", found)

    def Create(self, request: rpc.CreateSecurityGroupRequest, caller: Caller) -> Operation:
        if self.store.get(Network, request.network_id) is None:
            raise not_found("Network", request.network_id)
        self.admit(request.folder_id, request.name)
        group = SecurityGroup(id=new_id("security-group"), status=SecurityGroup.ACTIVE)
        fill(group, request)
        stamp(group)
        self._add(group, request.rule_specs)
        self.store.put(group)
        metadata = rpc.CreateSecurityGroupMetadata(security_group_id=group.id)
        return self.operations.done(caller, "Create security group", metadata, group)

    def Update(self, request: rpc.UpdateSecurityGroupRequest, caller: Caller) -> Operation:
        group = self.find(request)
        metadata = rpc.UpdateSecurityGroupMetadata(security_group_id=group.id)
        if "rule_specs" in update(group, request, self.id_field):
            del group.rules[:]
            metadata.added_rule_ids.extend(self._add(group, request.rule_specs))
        self.claim_name(group.folder_id, group.name, group.id)
        self.store.put(group)
        return self.operations.done(caller, "Update security group", metadata, group)

    def UpdateRules(self, request: rpc.UpdateSecurityGroupRulesRequest, caller: Caller) -> Operation:
        group = self.find(request)
        for rule_id in request.deletion_rule_ids:
            group.rules.remove(_rule(group, rule_id))
        added = self._add(group, request.addition_rule_specs)
        self.store.put(group)
        metadata = rpc.UpdateSecurityGroupMetadata(security_group_id=group.id, added_rule_ids=added)
        return self.operations.done(caller, "Update security group rules", metadata, group)

    def UpdateRule(self, request: rpc.UpdateSecurityGroupRuleRequest, caller: Caller) -> Operation:
        group = self.find(request)
        rule = _rule(group, request.rule_id)
        for path in masked_paths(request, request.update_mask, self.id_field) - {"rule_id"}:
            copy_field(request, rule, path)
        self.store.put(group)
        metadata = rpc.UpdateSecurityGroupRuleMetadata(security_group_id=group.id, rule_id=rule.id)
        return self.operations.done(caller, "Update security group rule", metadata, rule)

    def Delete(self, request: rpc.DeleteSecurityGroupRequest, caller: Caller) -> Operation:
        group = self.find(request)
        if group.default_for_network:
            raise precondition(f"SecurityGroup {group.id} is the default one of the network {group.network_id}")
        if used := [*_interfaces(self.store, group.id), *_referring(self.store, group)]:
            raise precondition(f"SecurityGroup {group.id} is used by {used[0]}")
        self.store.delete(SecurityGroup, group.id)
        metadata = rpc.DeleteSecurityGroupMetadata(security_group_id=group.id)
        return self.operations.gone(caller, "Delete security group", metadata)

    def ListOperations(
        self, request: rpc.ListSecurityGroupOperationsRequest, _: Caller
    ) -> rpc.ListSecurityGroupOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, rpc.ListSecurityGroupOperationsResponse(), "operations", found)

    def _add(self, group: SecurityGroup, specs: Iterable[rpc.SecurityGroupRuleSpec]) -> list[str]:
        """Gives the group these rules as well; returns their ids."""
        rules = [self._made(group, spec) for spec in specs]
        group.rules.extend(rules)
        if len(group.rules) > MOST_RULES:
            raise invalid(f"a security group has at most {MOST_RULES} rules", "rule_specs")
        return [rule.id for rule in rules]

    def _made(self, group: SecurityGroup, spec: rpc.SecurityGroupRuleSpec) -> SecurityGroupRule:
        rule = SecurityGroupRule(id=new_id("security-group-rule"))
        fill(rule, spec)
        _fill_protocol(rule, spec)
        _check_ports(rule)
        _check_target(rule)
        if rule.security_group_id and rule.security_group_id != group.id:
            check_security_groups(self.store, group.network_id, [rule.security_group_id])
        return rule


def default_group(network: Network) -> SecurityGroup:
    """It lets everything through, until its owner gives it other rules.

    So say pages of 2025, as that of Resource Manager on new folders; security-groups.md, as last published in the
    open, let in the group itself, SSH, RDP and ICMP alone.
    """
    group = SecurityGroup(
        id=new_id("security-group"),
        folder_id=network.folder_id,
        name=f"default-sg-{network.id}",
        network_id=network.id,
        status=SecurityGroup.ACTIVE,
        default_for_network=True,
    )
    stamp(group)
    for direction in (SecurityGroupRule.INGRESS, SecurityGroupRule.EGRESS):
        rule = group.rules.add(id=new_id("security-group-rule"), direction=direction, protocol_number=PROTOCOLS["ANY"])
        rule.protocol_name, rule.cidr_blocks.v4_cidr_blocks[:] = "ANY", [ANY_IPV4]
    return group


def check_security_groups(store: Store, network_id: str, group_ids: Iterable[str]) -> None:
    """Refuses groups that do not exist, or are of another network than what names them."""
    wanted = list(group_ids)
    if len(wanted) > MOST_PER_INTERFACE:
        raise invalid(f"an interface has at most {MOST_PER_INTERFACE} security groups", "security_group_ids")
    for group_id in wanted:
        group = store.get(SecurityGroup, group_id)
        if group is None:
            raise not_found("SecurityGroup", group_id)
        if group.network_id != network_id:
            raise invalid(f"SecurityGroup {group_id} is of the network {group.network_id}", "security_group_ids")


def _rule(group: SecurityGroup, rule_id: str) -> SecurityGroupRule:
    found = next((rule for rule in group.rules if rule.id == rule_id), None)
    if found is None:
        raise not_found("SecurityGroupRule", rule_id)
    return found


def _fill_protocol(rule: SecurityGroupRule, spec: rpc.SecurityGroupRuleSpec) -> None:
    """A rule bears both the name and the number, whichever was given; none is any protocol."""
    names = {number: name for name, number in PROTOCOLS.items()}
    name = spec.protocol_name.upper() or "ANY"
    if spec.WhichOneof("protocol") == "protocol_number":
        name = names.get(spec.protocol_number, "")
    if name not in PROTOCOLS:
        wanted = spec.protocol_name or spec.protocol_number
        raise invalid(f"protocol {wanted}: the local cloud knows {', '.join(PROTOCOLS)}", "protocol_name")
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
    if not 0 < len(blocks.v4_cidr_blocks) + len(blocks.v6_cidr_blocks) <= MOST_CIDRS:
        raise invalid(f"a rule has 1 to {MOST_CIDRS} ranges", "cidr_blocks")
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
