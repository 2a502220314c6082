"""The RPCs of yandex.cloud.vpc for security groups."""

from __future__ import annotations

from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import security_group_service_pb2 as rpc
from yandex.cloud.vpc.v1.network_pb2 import Network
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroup, SecurityGroupRule

from samovar.localcloud.api.errors import not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import copy_masked, fill, masked_paths, require, stamp, update
from samovar.localcloud.resources.rpc import WithOperations
from samovar.localcloud.vpc.security_groups.model import SecurityGroups


class SecurityGroupService(WithOperations[SecurityGroup]):
    """The rules of a group are ingress and egress; those of all groups of an interface count together."""

    def __init__(self, groups: SecurityGroups, operations: Operations) -> None:
        super().__init__(groups, operations)
        self._groups = groups

    def Create(self, request: rpc.CreateSecurityGroupRequest, caller: Caller) -> Operation:
        require(self.store, Network, request.network_id)
        self.resources.admit(request.folder_id, request.name)
        group = SecurityGroup(id=self.resources.new_id(), status=SecurityGroup.ACTIVE)
        fill(group, request)
        stamp(group)
        self._groups.add_rules(group, request.rule_specs)
        metadata = rpc.CreateSecurityGroupMetadata(security_group_id=group.id)
        return self.stored(caller, "Create security group", metadata, group)

    def Update(self, request: rpc.UpdateSecurityGroupRequest, caller: Caller) -> Operation:
        group = self.find(request)
        metadata = rpc.UpdateSecurityGroupMetadata(security_group_id=group.id)
        if "rule_specs" in update(group, request, self.id_field):
            del group.rules[:]
            metadata.added_rule_ids.extend(self._groups.add_rules(group, request.rule_specs))
        self.resources.claim_name(group.folder_id, group.name, group.id)
        return self.stored(caller, "Update security group", metadata, group)

    def UpdateRules(self, request: rpc.UpdateSecurityGroupRulesRequest, caller: Caller) -> Operation:
        group = self.find(request)
        for rule_id in request.deletion_rule_ids:
            group.rules.remove(_rule(group, rule_id))
        added = self._groups.add_rules(group, request.addition_rule_specs)
        metadata = rpc.UpdateSecurityGroupMetadata(security_group_id=group.id, added_rule_ids=added)
        return self.stored(caller, "Update security group rules", metadata, group)

    def UpdateRule(self, request: rpc.UpdateSecurityGroupRuleRequest, caller: Caller) -> Operation:
        group = self.find(request)
        rule = _rule(group, request.rule_id)
        for path in masked_paths(request, request.update_mask, self.id_field) - {"rule_id"}:
            copy_masked(request, rule, path, request.update_mask)
        self.resources.put(group)
        metadata = rpc.UpdateSecurityGroupRuleMetadata(security_group_id=group.id, rule_id=rule.id)
        return self.operations.done(caller, "Update security group rule", metadata, rule)

    def Delete(self, request: rpc.DeleteSecurityGroupRequest, caller: Caller) -> Operation:
        group = self.find(request)
        if group.default_for_network:
            raise precondition(f"SecurityGroup {group.id} is the default one of the network {group.network_id}")
        if users := self._groups.users(group):
            raise precondition(f"SecurityGroup {group.id} is used by {users[0]}")
        self.resources.delete(group.id)
        metadata = rpc.DeleteSecurityGroupMetadata(security_group_id=group.id)
        return self.operations.deleted(caller, "Delete security group", metadata)


def _rule(group: SecurityGroup, rule_id: str) -> SecurityGroupRule:
    rule = next((each for each in group.rules if each.id == rule_id), None)
    if rule is None:
        raise not_found("SecurityGroupRule", rule_id)
    return rule


SERVICES = (
    Service(
        rpc,
        "vpc",
        lambda context: SecurityGroupService(SecurityGroups(context.store), context.operations),
        SecurityGroups,
    ),
)
