"""What a group's service account must be allowed: a group does all that it does in its name.

Sources, in the documentation of Compute Cloud: concepts/instance-groups/access.md, operations/instance-groups/
create-from-yaml.md (compute.editor for machines, load-balancer.editor for targets); of VPC and IAM, their pages on
access (public addresses; machines that have an account).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from yandex.cloud.compute.v1.instancegroup.instance_group_pb2 import InstanceGroup

from samovar.localcloud.api.errors import denied
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.iam.authorization import Access
from samovar.localcloud.store.store import Store

MACHINES, TARGETS = "compute.editor", "load-balancer.editor"
PUBLIC, ACCOUNTS = "vpc.publicAdmin", "iam.serviceAccounts.user"


def for_new_machines(group: InstanceGroup) -> Iterator[str]:
    """The roles that it takes to make one of the group's machines."""
    template = group.instance_template
    yield MACHINES
    if template.service_account_id:
        yield ACCOUNTS
    if any(nic.primary_v4_address_spec.HasField("one_to_one_nat_spec") for nic in template.network_interface_specs):
        yield PUBLIC


def check_rights(store: Store, group: InstanceGroup, roles: Iterable[str]) -> None:
    """PERMISSION_DENIED unless the group's account has each of the roles, or one that includes it."""
    held = Access(store).held(Caller(group.service_account_id))
    lacking = [role for role in roles if not held & {role, f"{role.split('.')[0]}.admin", "editor", "admin"}]
    if lacking:
        raise denied(f"Permission denied: service account {group.service_account_id} lacks {', '.join(lacking)}")
