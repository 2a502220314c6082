"""Instance groups: our words to the API's messages and back. Both directions are pure; a test holds them together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.compute.v1.instancegroup import instance_group_pb2 as api
from yandex.cloud.compute.v1.instancegroup import instance_group_service_pb2 as rpc
from yandex.cloud.compute.v1.instancegroup.instance_group_service_pb2_grpc import InstanceGroupServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.session import Session
from samovar.deploy.placeholders import mentioned, told, untold
from samovar.deploy.resources.handler import Begun, Names, Work, begun
from samovar.deploy.resources.vpc import address_of
from samovar.deploy.specs import Deploy, Existing, HealthCheck, InstanceGroup, Kind, Ref, Resource, Template

MAX_CHECKING_HEALTH = 600
"""Seconds after which a machine that never got well is made anew: one that is slow to boot would never get there."""

DATA = "pgdata"
"""The name by which a machine finds its data disk: /dev/disk/by-id/virtio-pgdata."""

MASK = {
    "size": "scale_policy",
    "zones": "allocation_policy",
    "template": "instance_template",
    "check": "health_checks_spec",
    "service_account": "service_account_id",
    "deploy": "deploy_policy",
    "deletion_protection": "deletion_protection",
}
"""The API's field for each of ours that can change."""


class InstanceGroups:
    """Groups of equal machines."""

    def list(self, session: Session) -> list[Any]:
        request = rpc.ListInstanceGroupsRequest(folder_id=session.folder_id, view=rpc.InstanceGroupView.FULL)
        return session.list(session.client(InstanceGroupServiceStub).List, request, "instance_groups")

    def aliases(self, message: api.InstanceGroup) -> Mapping[str, str]:
        target_group = message.load_balancer_state.target_group_id
        return {target_group: message.name} if target_group else {}

    def read(self, message: api.InstanceGroup, names: Names) -> InstanceGroup:
        return InstanceGroup(
            size=message.scale_policy.fixed_scale.size,
            zones=tuple(sorted(zone.zone_id for zone in message.allocation_policy.zones)),
            template=_read_template(message.instance_template, names),
            check=_read_check(message.health_checks_spec),
            service_account=names.of(message.service_account_id),
            balanced=message.HasField("load_balancer_spec"),
            deploy=_read_deploy(message.deploy_policy),
            deletion_protection=message.deletion_protection,
        )

    def create(self, work: Work, resource: Resource) -> Begun:
        request = rpc.CreateInstanceGroupRequest(
            folder_id=work.session.folder_id,
            name=resource.name,
            labels=work.labels(resource),
            auto_healing_policy=api.AutoHealingPolicy(auto_healing_action=api.AutoHealingPolicy.RECREATE),
            **parts(work, resource),
        )
        operation = work.session.client(InstanceGroupServiceStub).Create(request)
        return begun(operation, rpc.CreateInstanceGroupMetadata(), lambda made: made.instance_group_id)

    def update(self, work: Work, existing: Existing, wanted: Resource, fields: tuple[str, ...]) -> Begun:
        """The API demands the whole of a group's parts, whatever the mask says."""
        request = rpc.UpdateInstanceGroupRequest(
            instance_group_id=existing.id,
            update_mask=FieldMask(paths=[MASK[name] for name in fields]),
            **parts(work, wanted),
        )
        return Begun(existing.id, work.session.client(InstanceGroupServiceStub).Update(request))

    def delete(self, session: Session, existing: Existing) -> Operation:
        request = rpc.DeleteInstanceGroupRequest(instance_group_id=existing.id)
        return session.client(InstanceGroupServiceStub).Delete(request)


def parts(work: Work, resource: Resource) -> dict[str, Any]:
    """The fields that Create and Update share, by the API's names."""
    spec = cast("InstanceGroup", resource.spec)
    found: dict[str, Any] = {
        "instance_template": _template(spec.template, work, work.labels(resource)),
        "scale_policy": api.ScalePolicy(fixed_scale=api.ScalePolicy.FixedScale(size=spec.size)),
        "deploy_policy": _deploy(spec.deploy),
        "allocation_policy": api.AllocationPolicy(
            zones=[api.AllocationPolicy.Zone(zone_id=zone) for zone in spec.zones]
        ),
        "health_checks_spec": _check(spec.check),
        "service_account_id": work.id(Kind.SERVICE_ACCOUNT, spec.service_account),
        "deletion_protection": spec.deletion_protection,
    }
    if spec.balanced:
        target_group = api.TargetGroupSpec(name=resource.name, labels=work.labels(resource))
        found["load_balancer_spec"] = api.LoadBalancerSpec(target_group_spec=target_group)
    return found


def _template(spec: Template, work: Work, labels: Mapping[str, str]) -> api.InstanceTemplate:
    disk = api.AttachedDiskSpec.DiskSpec(type_id=spec.disk_type, size=spec.disk, image_id=work.images[spec.image])
    nat = api.OneToOneNatSpec(ip_version=api.IpVersion.IPV4) if spec.public else None
    nic = api.NetworkInterfaceSpec(
        network_id=work.id(Kind.NETWORK, spec.network),
        subnet_ids=[work.id(Kind.SUBNET, name) for name in spec.subnets],
        primary_v4_address_spec=api.PrimaryAddressSpec(one_to_one_nat_spec=nat),
        security_group_ids=[work.id(Kind.SECURITY_GROUP, spec.security_group)] if spec.security_group else [],
    )
    return api.InstanceTemplate(
        name=spec.name,
        hostname=spec.hostname,
        labels=labels,
        platform_id=spec.platform,
        resources_spec=api.ResourcesSpec(memory=spec.memory, cores=spec.cores, core_fraction=spec.core_fraction),
        boot_disk_spec=api.AttachedDiskSpec(mode=api.AttachedDiskSpec.READ_WRITE, disk_spec=disk),
        secondary_disk_specs=_data_disks(spec, work),
        network_interface_specs=[nic],
        metadata={key: told(text, lambda ref: _value(work, ref)) for key, text in spec.metadata},
        service_account_id=work.id(Kind.SERVICE_ACCOUNT, spec.service_account) if spec.service_account else "",
        metadata_options=_metadata_options(spec.issues),
    )


def _metadata_options(issues: tuple[str, ...]) -> api.MetadataOptions:
    """The agent asks in Google's form, cloud-init in Amazon's first; nobody needs Amazon's second."""
    form = {True: api.MetadataOption.ENABLED, False: api.MetadataOption.DISABLED}
    return api.MetadataOptions(
        gce_http_endpoint=form[True],
        aws_v1_http_endpoint=form[True],
        gce_http_token=form["gce" in issues],
        aws_v1_http_token=form["aws" in issues],
    )


def _issues(options: api.MetadataOptions) -> tuple[str, ...]:
    """What nobody switched off is on, for all that one can tell."""
    forms = {"gce": options.gce_http_token, "aws": options.aws_v1_http_token}
    return tuple(name for name, option in forms.items() if option != api.MetadataOption.DISABLED)


def _data_disks(spec: Template, work: Work) -> list[api.AttachedDiskSpec]:
    """The API demands a type beside the id of a disk that is there already."""
    if not spec.data_disk:
        return []
    disk = api.AttachedDiskSpec(mode=api.AttachedDiskSpec.READ_WRITE, device_name=DATA)
    disk.disk_id = work.id(Kind.DISK, spec.data_disk)
    disk.disk_spec.type_id = spec.disk_type
    return [disk]


def _value(work: Work, ref: Ref) -> str:
    """What a machine is told in the place of a token."""
    return address_of(work, ref) if ref.kind is Kind.INTERNAL_ADDRESS else work.ids[ref]


def _read_template(message: api.InstanceTemplate, names: Names) -> Template:
    nic = message.network_interface_specs[0]
    disk = message.boot_disk_spec.disk_spec
    metadata = {key: untold(text, names.told) for key, text in message.metadata.items()}
    return Template(
        name=message.name,
        hostname=message.hostname,
        image=names.of(disk.image_id),
        network=names.of(nic.network_id),
        subnets=tuple(sorted(map(names.of, nic.subnet_ids))),
        cores=message.resources_spec.cores,
        core_fraction=message.resources_spec.core_fraction,
        memory=message.resources_spec.memory,
        disk=disk.size,
        metadata=tuple(sorted(metadata.items())),
        tells=tuple(sorted({ref for text in metadata.values() for ref in mentioned(text)})),
        security_group=", ".join(map(names.of, nic.security_group_ids)),
        service_account=names.of(message.service_account_id),
        issues=_issues(message.metadata_options),
        data_disk=", ".join(names.of(found.disk_id) for found in message.secondary_disk_specs),
        public=nic.primary_v4_address_spec.HasField("one_to_one_nat_spec"),
        platform=message.platform_id,
        disk_type=disk.type_id,
    )


def _check(check: HealthCheck) -> api.HealthChecksSpec:
    spec = api.HealthCheckSpec(
        interval=Duration(seconds=check.interval),
        timeout=Duration(seconds=check.timeout),
        unhealthy_threshold=check.unhealthy,
        healthy_threshold=check.healthy,
        http_options=api.HealthCheckSpec.HttpOptions(port=check.port, path=check.path),
    )
    return api.HealthChecksSpec(
        health_check_specs=[spec], max_checking_health_duration=Duration(seconds=MAX_CHECKING_HEALTH)
    )


def _read_check(message: api.HealthChecksSpec) -> HealthCheck:
    spec = message.health_check_specs[0] if message.health_check_specs else api.HealthCheckSpec()
    return HealthCheck(
        port=spec.http_options.port,
        path=spec.http_options.path,
        interval=spec.interval.seconds,
        timeout=spec.timeout.seconds,
        unhealthy=spec.unhealthy_threshold,
        healthy=spec.healthy_threshold,
    )


def _deploy(deploy: Deploy) -> api.DeployPolicy:
    return api.DeployPolicy(
        max_unavailable=deploy.max_unavailable,
        max_expansion=deploy.max_expansion,
        max_creating=deploy.max_creating,
        max_deleting=deploy.max_deleting,
        startup_duration=Duration(seconds=deploy.startup_seconds),
        strategy=api.DeployPolicy.PROACTIVE,
        minimal_action=api.DeployPolicy.RECREATE,
    )


def _read_deploy(message: api.DeployPolicy) -> Deploy:
    return Deploy(
        max_unavailable=message.max_unavailable,
        max_expansion=message.max_expansion,
        max_creating=message.max_creating,
        max_deleting=message.max_deleting,
        startup_seconds=message.startup_duration.seconds,
    )
