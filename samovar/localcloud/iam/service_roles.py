"""The roles of services beyond viewer, editor and admin: which methods each allows.

Source: the documentation's reference of roles, a page each (`_roles/vpc/privateAdmin` and so on). What a role allows of
a method for some requests alone, such as addresses of one kind, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

KEYS = ("KeyService/*", "ApiKeyService/*", "AccessKeyService/*")
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "compute.operator": (
        "InstanceService/Start",
        "InstanceService/Stop",
        "InstanceService/Restart",
        "InstanceGroupService/Start",
        "InstanceGroupService/Stop",
    ),
    "compute.snapshotSchedules.editor": ("SnapshotScheduleService/*",),
    "iam.serviceAccounts.accessKeyAdmin": ("AccessKeyService/*",),
    "iam.serviceAccounts.admin": ("ServiceAccountService/*", *KEYS),
    "iam.serviceAccounts.apiKeyAdmin": ("ApiKeyService/*",),
    "iam.serviceAccounts.authorizedKeyAdmin": ("KeyService/*",),
    "iam.serviceAccounts.keyAdmin": KEYS,
    "load-balancer.privateAdmin": ("TargetGroupService/*",),
    "vpc.gateways.editor": ("GatewayService/*",),
    "vpc.privateAdmin": ("NetworkService/*", "SubnetService/*", "RouteTableService/*"),
    "vpc.publicAdmin": ("GatewayService/*", "SubnetService/Update"),
    "vpc.securityGroups.admin": ("SecurityGroupService/*",),
}
"""Patterns of service and method, by role."""
VIEWERS = frozenset(
    {
        "compute.operator",
        "load-balancer.privateAdmin",
        "vpc.privateAdmin",
        "vpc.publicAdmin",
        "vpc.securityGroups.admin",
    }
)
"""Those that also allow what the viewer of their service may do."""
UNKNOWN = frozenset({"vpc.editor"})
"""Roles that the documentation does not have, though it has the level for other services."""


def roles_for(service: str, method: str, prefix: str, *, reads: bool) -> frozenset[str]:
    """Return those of these roles that allow a method; `prefix` is that of the service's roles ("vpc")."""
    name = f"{service}/{method}"
    allowing = {role for role, patterns in ALLOWED.items() if any(fnmatchcase(name, each) for each in patterns)}
    if method.endswith("AccessBindings") and not reads:
        allowing &= {"iam.serviceAccounts.admin"}
    return frozenset(allowing | {role for role in VIEWERS if reads and role.startswith(f"{prefix}.")})
