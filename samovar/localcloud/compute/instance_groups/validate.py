"""Checks a group's specification beyond the constraints of its fields, and the roles of its service account.

Sources for the roles, in the documentation of Compute Cloud: concepts/instance-groups/access.md,
operations/instance-groups/create-from-yaml.md (compute.editor for machines, load-balancer.editor for targets); of VPC
and IAM, their pages on access (subnets and security groups; public addresses; machines that have an account).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup, ScalePolicy
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.iam.v1.service_account_pb2 import ServiceAccount
from yandex.cloud.resourcemanager.v1.cloud_pb2 import Cloud
from yandex.cloud.vpc.v1.subnet_pb2 import Subnet

from samovar.localcloud.api.errors import denied, invalid
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.images.standard_images import FOLDER as PUBLIC_IMAGES
from samovar.localcloud.compute.instance_groups.model import initial_size, is_autoscaled, largest_size
from samovar.localcloud.compute.instances.model import check_size
from samovar.localcloud.compute.zones.model import check_disk_type
from samovar.localcloud.iam.authorization import AccessBindings
from samovar.localcloud.iam.model import may_use
from samovar.localcloud.resources.model import require
from samovar.localcloud.store.store import Store
from samovar.localcloud.vpc.security_groups.model import check_security_groups

MACHINE_ROLE, TARGET_ROLE = "compute.editor", "load-balancer.editor"
NETWORK_ROLE, PUBLIC_ADDRESS_ROLE = "vpc.user", "vpc.publicAdmin"
ACCOUNT_ROLE = "iam.serviceAccounts.user"
IMAGE_ROLES = frozenset({"compute.images.user", "compute.editor", "compute.admin", "editor", "admin"})
"""The roles with which a machine is made from an image of another folder."""


def check_group(store: Store, group: InstanceGroup) -> None:
    """Refuse policies that cannot work, and a group that names what does not exist: it would wait for ever."""
    policy = group.deploy_policy
    if not policy.max_unavailable and not policy.max_expansion:
        raise invalid("max_unavailable and max_expansion cannot both be 0", "deploy_policy")
    _check_scale(group)
    template = group.instance_template  # the real API may accept one of which no machine can be made
    check_size(template.platform_id, template.resources_spec, "instance_template.resources_spec")
    _check_account(store, group)
    _check_disks(group)
    _check_disk_names(group)
    _check_source(store, group)
    _check_zones(group, _subnets(store, group))
    _check_tags(group)


def _check_account(store: Store, group: InstanceGroup) -> None:
    """Refuse an account of another folder than the group's (documentation, instance-groups/access)."""
    account = require(store, ServiceAccount, group.service_account_id)
    if account.folder_id not in {"", group.folder_id}:  # the operator's, which is in none, is not found later
        raise invalid(f"ServiceAccount {account.id} is of another folder than the group", "service_account_id")


def _check_scale(group: InstanceGroup) -> None:
    """A group that scales by load may not begin with more machines than it may ever have, and its rule has a target."""
    scale = group.scale_policy.auto_scale
    if scale.HasField("cpu_utilization_rule") and not scale.cpu_utilization_rule.utilization_target:
        raise invalid("the rule has no utilization_target", "scale_policy.auto_scale.cpu_utilization_rule")
    if is_autoscaled(group) and scale.initial_size < (least := _least_initial_size(group)):
        raise invalid(f"the group begins with {least} machines at least", "scale_policy.auto_scale.initial_size")
    if is_autoscaled(group) and initial_size(group) > largest_size(group):
        raise invalid(
            f"the group begins with {initial_size(group)} machines, and has at most {largest_size(group)}", "max_size"
        )


def _least_initial_size(group: InstanceGroup) -> int:
    """Return how many machines a group that scales by load begins with at least (documentation, deploy/zones).

    Without a metric of the whole load there must be one whose load is measured, with zonal scaling one in each zone.
    """
    scale = group.scale_policy.auto_scale
    if any(rule.rule_type == ScalePolicy.CustomRule.WORKLOAD for rule in scale.custom_rules):
        return 0
    return 1 if scale.auto_scale_type == scale.REGIONAL else len(group.allocation_policy.zones)


def _check_disks(group: InstanceGroup) -> None:
    """Refuse a disk that is both an existing one and a new one, or neither: the protos call them alternatives.

    The text is assumed. A type may be a variable.
    """
    template = group.instance_template
    for number, spec in enumerate((template.boot_disk_spec, *template.secondary_disk_specs)):
        if bool(spec.disk_id) == spec.HasField("disk_spec"):
            field = f"secondary_disk_specs[{number - 1}]" if number else "boot_disk_spec"
            raise invalid("a disk has either disk_spec or disk_id", f"instance_template.{field}")
        if spec.disk_spec.type_id and "{" not in spec.disk_spec.type_id:
            check_disk_type(spec.disk_spec.type_id, spec.disk_spec.size)


def _check_disk_names(group: InstanceGroup) -> None:
    """Refuse names of some secondary disks, or two of one name (documentation, deploy/secondary-disk)."""
    names = [spec.name for spec in group.instance_template.secondary_disk_specs]
    if any(names) and (not all(names) or len(set(names)) != len(names)):
        raise invalid("each secondary disk has a name of its own, or none has one", "secondary_disk_specs")


def _check_source(store: Store, group: InstanceGroup) -> None:
    disk = group.instance_template.boot_disk_spec.disk_spec
    if disk.snapshot_id:
        require(store, Snapshot, disk.snapshot_id)
    else:
        require(store, Image, disk.image_id)


def _subnets(store: Store, group: InstanceGroup) -> list[Subnet]:
    """Return the template's subnets; the security groups must be of their networks."""
    subnets = []
    for spec in group.instance_template.network_interface_specs:
        for subnet_id in spec.subnet_ids:
            subnet = require(store, Subnet, subnet_id)
            check_security_groups(store, subnet.network_id, spec.security_group_ids)
            subnets.append(subnet)
    return subnets


def _check_zones(group: InstanceGroup, subnets: list[Subnet]) -> None:
    """Refuse a zone of the group that does not have exactly one of the template's subnets."""
    zones = [subnet.zone_id for subnet in subnets]
    for zone in group.allocation_policy.zones:
        if zones.count(zone.zone_id) != 1:
            raise invalid(f"the template has {zones.count(zone.zone_id)} subnets in {zone.zone_id}", "subnet_ids")


def _check_tags(group: InstanceGroup) -> None:
    tags = [tag for zone in group.allocation_policy.zones for tag in zone.instance_tags_pool]
    if len(set(tags)) != len(tags):
        raise invalid("instance_tags_pool: a tag is unique in the whole group", "allocation_policy")
    most = largest_size(group) + group.deploy_policy.max_expansion
    if tags and len(tags) < most:
        raise invalid(f"instance_tags_pool: {len(tags)} tags for up to {most} machines", "allocation_policy")


def roles_for_new_machine(group: InstanceGroup) -> Iterator[str]:
    """Yield the roles that it takes to make one of the group's machines."""
    template = group.instance_template
    yield MACHINE_ROLE
    yield NETWORK_ROLE
    if template.service_account_id:
        yield ACCOUNT_ROLE
    if any(nic.primary_v4_address_spec.HasField("one_to_one_nat_spec") for nic in template.network_interface_specs):
        yield PUBLIC_ADDRESS_ROLE


def check_image_rights(store: Store, group: InstanceGroup) -> None:
    """Raise PERMISSION_DENIED unless the group's account may use the image, where that is another folder's."""
    image = store.get(Image, group.instance_template.boot_disk_spec.disk_spec.image_id)
    if image is None or image.folder_id in {group.folder_id, PUBLIC_IMAGES}:
        return
    places = [image.id, image.folder_id, *(cloud.id for cloud in store.all(Cloud))]
    if not AccessBindings(store).roles(Caller(group.service_account_id), places) & IMAGE_ROLES:
        raise denied(
            f"Permission denied: service account {group.service_account_id} lacks compute.images.user on Folder "
            f"{image.folder_id} of Image {image.id}"
        )


def check_rights(store: Store, group: InstanceGroup, roles: Iterable[str]) -> None:
    """Raise PERMISSION_DENIED unless the group's account has each of the roles, or one that includes it.

    To use the account of the machines, a role on that account is enough.
    """
    caller = Caller(group.service_account_id)
    held = AccessBindings(store).held(caller)
    if may_use(store, caller, group.instance_template.service_account_id):
        held |= {ACCOUNT_ROLE}
    lacking = [role for role in roles if not held & {role, f"{role.split('.')[0]}.admin", "editor", "admin"}]
    if lacking:
        raise denied(f"Permission denied: service account {group.service_account_id} lacks {', '.join(lacking)}")
