"""Security groups and their rules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.vpc.v1 import security_group_service_pb2 as rpc
from yandex.cloud.vpc.v1.security_group_pb2 import CidrBlocks, PortRange, SecurityGroupRule
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroup as SecurityGroupMessage
from yandex.cloud.vpc.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub

from samovar.cloud.session import Session
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started, started
from samovar.deploy.resources.resource import Existing, Kind, Ref, Resource, Spec

INGRESS, EGRESS = SecurityGroupRule.INGRESS, SecurityGroupRule.EGRESS
HEALTH_CHECKS, SELF = "loadbalancer_healthchecks", "self_security_group"
"""The API's names for the addresses that health checks come from, and for the machines of the same group."""
TCP, UDP, ICMP = "TCP", "UDP", "ICMP"
ANY_PORT = (0, 65535)


@dataclass(frozen=True, order=True)
class Rule:
    """An allowed connection. `port` 0 is any; `peer` is a range, a security group's name, HEALTH_CHECKS or SELF.

    `last_port` is the last of a range of ports; the tool makes no such rule, and reverts one that was widened.
    """

    inbound: bool
    port: int
    peer: str
    protocol: str = TCP
    last_port: int = 0

    def __str__(self) -> str:
        ports = f"{self.port}-{self.last_port}" if self.last_port else str(self.port or "any")
        port = f"{ports}{'' if self.protocol == TCP else f' ({self.protocol})'}"
        return f"{'from' if self.inbound else 'to'} {self.peer} port {port}"


@dataclass(frozen=True)
class SecurityGroup(Spec):
    """The connections that a group's machines may accept and open; all others are dropped."""

    KIND = Kind.SECURITY_GROUP
    IMMUTABLE = frozenset({"network"})
    QUOTA = "vpc.securityGroups.count"

    network: str
    rules: tuple[Rule, ...]

    def refs(self) -> Iterator[Ref]:
        yield Ref(Kind.NETWORK, self.network)
        for peer in sorted({rule.peer for rule in self.rules}):
            if peer not in {HEALTH_CHECKS, SELF} and "/" not in peer:
                yield Ref(Kind.SECURITY_GROUP, peer)


class SecurityGroupHandler(Handler[SecurityGroup, SecurityGroupMessage]):
    """Creates security groups, one for each group of machines."""

    KIND = Kind.SECURITY_GROUP

    def list(self, session: Session) -> list[SecurityGroupMessage]:
        request = rpc.ListSecurityGroupsRequest(folder_id=session.folder_id)
        return session.list(session.client(SecurityGroupServiceStub).List, request, lambda page: page.security_groups)

    def read(self, message: SecurityGroupMessage, index: IdIndex) -> SecurityGroup:
        rules = tuple(sorted(_read_rule(rule, index) for rule in message.rules))
        return SecurityGroup(network=index.name_of(message.network_id), rules=rules)

    def create(self, context: Context, resource: Resource[SecurityGroup]) -> Started:
        request = rpc.CreateSecurityGroupRequest(
            folder_id=context.session.folder_id,
            name=resource.name,
            labels=context.labels(resource),
            network_id=context.id(Kind.NETWORK, resource.spec.network),
            rule_specs=[_rule_spec(context, rule) for rule in resource.spec.rules],
        )
        operation = context.session.client(SecurityGroupServiceStub).Create(request)
        return started(operation, rpc.CreateSecurityGroupMetadata(), lambda metadata: metadata.security_group_id)

    def update(
        self, context: Context, existing: Existing[SecurityGroup], desired: Resource[SecurityGroup], _: tuple[str, ...]
    ) -> Started:
        request = rpc.UpdateSecurityGroupRequest(
            security_group_id=existing.id,
            update_mask=FieldMask(paths=["rule_specs"]),
            rule_specs=[_rule_spec(context, rule) for rule in desired.spec.rules],
        )
        return Started(existing.id, context.session.client(SecurityGroupServiceStub).Update(request))

    def delete(self, session: Session, existing: Existing[SecurityGroup]) -> Operation:
        request = rpc.DeleteSecurityGroupRequest(security_group_id=existing.id)
        return session.client(SecurityGroupServiceStub).Delete(request)


def _rule_spec(context: Context, rule: Rule) -> rpc.SecurityGroupRuleSpec:
    spec = rpc.SecurityGroupRuleSpec(direction=INGRESS if rule.inbound else EGRESS, protocol_name=rule.protocol)
    if rule.port:
        spec.ports.CopyFrom(PortRange(from_port=rule.port, to_port=rule.port))
    if rule.peer in {HEALTH_CHECKS, SELF}:
        spec.predefined_target = rule.peer
    elif "/" in rule.peer:
        spec.cidr_blocks.CopyFrom(CidrBlocks(v4_cidr_blocks=[rule.peer]))
    else:
        spec.security_group_id = context.id(Kind.SECURITY_GROUP, rule.peer)
    return spec


def _read_rule(rule: SecurityGroupRule, index: IdIndex) -> Rule:
    blocks = ", ".join([*rule.cidr_blocks.v4_cidr_blocks, *rule.cidr_blocks.v6_cidr_blocks])
    first, last = rule.ports.from_port, rule.ports.to_port
    peer = rule.predefined_target or blocks or index.name_of(rule.security_group_id)
    return Rule(
        inbound=rule.direction == INGRESS,
        port=first,
        peer=peer,
        protocol=rule.protocol_name,
        last_port=0 if last == first or (first, last) == ANY_PORT else last,
    )
