"""Breaks resources by the API of any cloud, and puts them back as the journal says that they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict, ParseDict
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as groups_rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceTemplate
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.loadbalancer.v1 import target_group_service_pb2 as targets_rpc
from yandex.cloud.loadbalancer.v1.target_group_pb2 import Target
from yandex.cloud.loadbalancer.v1.target_group_service_pb2_grpc import TargetGroupServiceStub
from yandex.cloud.lockbox.v1 import secret_service_pb2 as secrets_rpc
from yandex.cloud.lockbox.v1.payload_service_pb2 import GetPayloadRequest
from yandex.cloud.lockbox.v1.payload_service_pb2_grpc import PayloadServiceStub
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.vpc.v1 import security_group_service_pb2 as rules_rpc
from yandex.cloud.vpc.v1.security_group_pb2 import SecurityGroupRule
from yandex.cloud.vpc.v1.security_group_service_pb2_grpc import SecurityGroupServiceStub

from samovar.cloud.session import Session
from samovar.core.json_types import Json, mapping_of
from samovar.drills.journal import Breakage

ROLE = "samovar-role"
"""The key of the metadata by which a machine knows what it is."""
NO_ROLE = "none-on-request-of-a-drill"
UPDATE = "samovar-drill"
"""The key of the metadata whose change replaces the machines of a group, and means nothing to them."""


def lose_rules(session: Session, breakage: Breakage) -> None:
    """Remove the rules for the port from a security group."""
    kept = [rule for rule in _rules(breakage) if rule.ports.from_port != breakage.parameters["port"]]
    _set_rules(session, breakage, kept)


def restore_rules(session: Session, breakage: Breakage) -> None:
    """Give the security group the rules that it had."""
    _set_rules(session, breakage, _rules(breakage))


def _rules(breakage: Breakage) -> list[SecurityGroupRule]:
    return [ParseDict(mapping_of(rule), SecurityGroupRule()) for rule in _listed(breakage.parameters["rules"])]


def _listed(value: Json) -> Sequence[Json]:
    assert isinstance(value, Sequence)  # noqa: S101 - the journal's own form
    return value


def _set_rules(session: Session, breakage: Breakage, rules: Sequence[SecurityGroupRule]) -> None:
    request = rules_rpc.UpdateSecurityGroupRequest(
        security_group_id=breakage.subject,
        update_mask=FieldMask(paths=["rule_specs"]),
        rule_specs=[_spec(rule) for rule in rules],
    )
    session.finish(session.client(SecurityGroupServiceStub).Update(request), what=f"rules of {breakage.name}")


def _spec(rule: SecurityGroupRule) -> rules_rpc.SecurityGroupRuleSpec:
    """Return what makes such a rule: its own fields but for its id, and one of the two forms of its protocol."""
    doubled = {"id", "protocolNumber"} if rule.protocol_name else {"id"}
    plain = {key: value for key, value in MessageToDict(rule).items() if key not in doubled}
    return ParseDict(plain, rules_rpc.SecurityGroupRuleSpec())


def drain(session: Session, breakage: Breakage) -> None:
    """Remove a machine from its target group."""
    request = targets_rpc.RemoveTargetsRequest(target_group_id=breakage.subject, targets=[_target(breakage)])
    session.finish(session.client(TargetGroupServiceStub).RemoveTargets(request), what=f"draining {breakage.name}")


def undrain(session: Session, breakage: Breakage) -> None:
    """Add the target again, unless its group has done so or the machine was replaced."""
    group = session.client(TargetGroupServiceStub).Get(
        targets_rpc.GetTargetGroupRequest(target_group_id=breakage.subject)
    )
    if _target(breakage).address in {target.address for target in group.targets}:
        return
    request = targets_rpc.AddTargetsRequest(target_group_id=breakage.subject, targets=[_target(breakage)])
    session.finish(session.client(TargetGroupServiceStub).AddTargets(request), what=f"target {breakage.name}")


def _target(breakage: Breakage) -> Target:
    return ParseDict(mapping_of(breakage.parameters["target"]), Target())


def spoil_template(session: Session, breakage: Breakage) -> None:
    """Give new machines of a group a role that no image has: they fail as those of a bad image do."""
    template = _template(breakage)
    template.metadata[ROLE] = NO_ROLE
    _set_template(session, breakage, template)


def change_template(session: Session, breakage: Breakage) -> None:
    """Begin to replace the machines of a group by such as are the same."""
    template = _template(breakage)
    template.metadata[UPDATE] = "once"
    _set_template(session, breakage, template)


def update_and_cut_power(session: Session, breakage: Breakage) -> None:
    """Begin to replace the machines of a group, and cut the power of one of them."""
    change_template(session, breakage)
    session.cut_power(str(breakage.parameters["instance"]))


def restore_template(session: Session, breakage: Breakage) -> None:
    """Give the group the template that it had."""
    _set_template(session, breakage, _template(breakage))


def _template(breakage: Breakage) -> InstanceTemplate:
    return ParseDict(mapping_of(breakage.parameters["template"]), InstanceTemplate())


def _set_template(session: Session, breakage: Breakage, template: InstanceTemplate) -> None:
    """Start the change, and do not wait for the machines. The API demands all fields of a group."""
    client = session.client(InstanceGroupServiceStub)
    request = groups_rpc.GetInstanceGroupRequest(
        instance_group_id=breakage.subject, view=groups_rpc.InstanceGroupView.FULL
    )
    group = client.Get(request)
    shared = {field.name for field in groups_rpc.UpdateInstanceGroupRequest.DESCRIPTOR.fields}
    fields = {field.name: value for field, value in group.ListFields() if field.name in shared}
    client.Update(
        groups_rpc.UpdateInstanceGroupRequest(
            **{
                **fields,
                "instance_group_id": group.id,
                "instance_template": template,
                "update_mask": FieldMask(paths=["instance_template"]),
            }
        )
    )


def expire_certificate(session: Session, breakage: Breakage) -> None:
    """Give the secret a certificate that expired yesterday."""
    from samovar.core import certificates  # noqa: PLC0415 - 0.1 s that only this needs

    pair = certificates.self_signed("samovar", [], skew=timedelta(days=7), lifetime=timedelta(days=-1))
    _add_version(session, breakage, {"cert": pair.cert, "key": pair.key})


def restore_certificate(session: Session, breakage: Breakage) -> None:
    """Give the secret the payload of the version that it had; the journal has its id alone."""
    request = GetPayloadRequest(secret_id=breakage.subject, version_id=str(breakage.parameters["version"]))
    payload = session.client(PayloadServiceStub).Get(request)
    _add_version(session, breakage, {entry.key: entry.text_value for entry in payload.entries})


def _add_version(session: Session, breakage: Breakage, entries: Mapping[str, str]) -> None:
    request = secrets_rpc.AddVersionRequest(
        secret_id=breakage.subject,
        description=str(breakage.parameters["description"]),
        payload_entries=[secrets_rpc.PayloadEntryChange(key=key, text_value=text) for key, text in entries.items()],
    )
    session.finish(session.client(SecretServiceStub).AddVersion(request), what=f"version of {breakage.name}")
