"""Security groups: our rules to the API's and back."""

from __future__ import annotations

from typing import Any, cast

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import security_group_service_pb2 as rpc
from yandex.cloud.vpc.v1.security_group_pb2 import CidrBlocks, PortRange, SecurityGroupRule
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroup as SecurityGroupMessage
from yandex.cloud.vpc.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub

from samovar.cloud.session import Session
from samovar.deploy.foundation_specs import CHECKS, SELF, Rule, SecurityGroup
from samovar.deploy.resources.handler import Begun, Fixed, Names, Work, begun
from samovar.deploy.specs import Existing, Kind, Resource

INBOUND, OUTBOUND = SecurityGroupRule.INGRESS, SecurityGroupRule.EGRESS


class SecurityGroups(Fixed):
    """One a group of machines."""

    def list(self, session: Session) -> list[Any]:
        request = rpc.ListSecurityGroupsRequest(folder_id=session.folder_id)
        return session.list(session.client(SecurityGroupServiceStub).List, request, "security_groups")

    def read(self, message: SecurityGroupMessage, names: Names) -> SecurityGroup:
        rules = tuple(sorted(_read_rule(rule, names) for rule in message.rules))
        return SecurityGroup(network=names.of(message.network_id), rules=rules)

    def create(self, work: Work, resource: Resource) -> Begun:
        spec = cast("SecurityGroup", resource.spec)
        request = rpc.CreateSecurityGroupRequest(
            folder_id=work.session.folder_id,
            name=resource.name,
            labels=work.labels(resource),
            network_id=work.id(Kind.NETWORK, spec.network),
            rule_specs=[_rule(work, rule) for rule in spec.rules],
        )
        operation = work.session.client(SecurityGroupServiceStub).Create(request)
        return begun(operation, rpc.CreateSecurityGroupMetadata(), lambda made: made.security_group_id)

    def update(self, work: Work, existing: Existing, wanted: Resource, _: tuple[str, ...]) -> Begun:
        request = rpc.UpdateSecurityGroupRequest(
            security_group_id=existing.id,
            update_mask=FieldMask(paths=["rule_specs"]),
            rule_specs=[_rule(work, rule) for rule in cast("SecurityGroup", wanted.spec).rules],
        )
        return Begun(existing.id, work.session.client(SecurityGroupServiceStub).Update(request))

    def delete(self, session: Session, existing: Existing) -> Operation:
        request = rpc.DeleteSecurityGroupRequest(security_group_id=existing.id)
        return session.client(SecurityGroupServiceStub).Delete(request)


def _rule(work: Work, rule: Rule) -> rpc.SecurityGroupRuleSpec:
    spec = rpc.SecurityGroupRuleSpec(direction=INBOUND if rule.inbound else OUTBOUND, protocol_name=rule.protocol)
    if rule.port:
        spec.ports.CopyFrom(PortRange(from_port=rule.port, to_port=rule.port))
    if rule.peer in {CHECKS, SELF}:
        spec.predefined_target = rule.peer
    elif "/" in rule.peer:
        spec.cidr_blocks.CopyFrom(CidrBlocks(v4_cidr_blocks=[rule.peer]))
    else:
        spec.security_group_id = work.id(Kind.SECURITY_GROUP, rule.peer)
    return spec


def _read_rule(rule: SecurityGroupRule, names: Names) -> Rule:
    blocks = ", ".join(rule.cidr_blocks.v4_cidr_blocks)
    peer = rule.predefined_target or blocks or names.of(rule.security_group_id)
    return Rule(inbound=rule.direction == INBOUND, port=rule.ports.from_port, peer=peer, protocol=rule.protocol_name)
