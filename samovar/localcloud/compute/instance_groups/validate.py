"""What a group's specification must hold beyond the constraints of its fields, so that its machines can be made."""

from __future__ import annotations

from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.iam.v1.service_account_pb2 import ServiceAccount
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import invalid, not_found
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.security_groups.rpc import check_security_groups


def check_group(store: Store, group: InstanceGroup) -> None:
    """What is named by id is looked up at once, so that a group never waits for what does not exist."""
    policy = group.deploy_policy
    if not policy.max_unavailable and not policy.max_expansion:
        raise invalid("max_unavailable and max_expansion cannot both be 0", "deploy_policy")
    if group.scale_policy.WhichOneof("scale_type") != "fixed_scale":
        raise invalid("the local cloud's groups have a fixed size", "scale_policy")
    if store.get(ServiceAccount, group.service_account_id) is None:
        raise not_found("ServiceAccount", group.service_account_id)
    _check_source(store, group)
    _check_zones(group, _subnets(store, group))
    _check_tags(group)


def _check_source(store: Store, group: InstanceGroup) -> None:
    disk = group.instance_template.boot_disk_spec.disk_spec
    if disk.snapshot_id:
        if store.get(Snapshot, disk.snapshot_id) is None:
            raise not_found("Snapshot", disk.snapshot_id)
    elif store.get(Image, disk.image_id) is None:
        raise not_found("Image", disk.image_id)


def _subnets(store: Store, group: InstanceGroup) -> list[Subnet]:
    """The template's subnets, whose networks are those of its security groups."""
    found = []
    for spec in group.instance_template.network_interface_specs:
        for subnet_id in spec.subnet_ids:
            subnet = store.get(Subnet, subnet_id)
            if subnet is None:
                raise not_found("Subnet", subnet_id)
            check_security_groups(store, subnet.network_id, spec.security_group_ids)
            found.append(subnet)
    return found


def _check_zones(group: InstanceGroup, subnets: list[Subnet]) -> None:
    """Each zone of the group has exactly one of the template's subnets."""
    zones = [subnet.zone_id for subnet in subnets]
    for zone in group.allocation_policy.zones:
        if zones.count(zone.zone_id) != 1:
            raise invalid(f"the template has {zones.count(zone.zone_id)} subnets in {zone.zone_id}", "subnet_ids")


def _check_tags(group: InstanceGroup) -> None:
    tags = [tag for zone in group.allocation_policy.zones for tag in zone.instance_tags_pool]
    if len(set(tags)) != len(tags):
        raise invalid("instance_tags_pool: a tag is unique in the whole group", "allocation_policy")
    most = group.scale_policy.fixed_scale.size + group.deploy_policy.max_expansion
    if tags and len(tags) < most:
        raise invalid(f"instance_tags_pool: {len(tags)} tags for up to {most} machines", "allocation_policy")
