"""The RPCs of yandex.cloud.iam for roles: those that this cloud knows how to read, and those that clients name.

Source of the ids: the documentation of Identity and Access Management, reference of roles. A binding may name others.
"""

from __future__ import annotations

from google.protobuf.message import Message
from yandex.cloud.iam.v1 import role_service_pb2 as rpc
from yandex.cloud.iam.v1.role_pb2 import Role

from samovar.localcloud.api.errors import not_found
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.rpc import page

LEVELS = ("auditor", "viewer", "editor", "admin")
PREFIXES = ("compute", "iam", "load-balancer", "lockbox", "resource-manager", "vpc")
SPECIAL = (
    "iam.serviceAccounts.accessKeyAdmin",
    "iam.serviceAccounts.admin",
    "iam.serviceAccounts.apiKeyAdmin",
    "iam.serviceAccounts.authorizedKeyAdmin",
    "iam.serviceAccounts.keyAdmin",
    "iam.serviceAccounts.tokenCreator",
    "iam.serviceAccounts.user",
    "compute.images.user",
    "compute.operator",
    "compute.osAdminLogin",
    "compute.osLogin",
    "compute.snapshotSchedules.editor",
    "compute.snapshotSchedules.viewer",
    "load-balancer.privateAdmin",
    "lockbox.payloadViewer",
    "resource-manager.clouds.member",
    "resource-manager.clouds.owner",
    "vpc.bridgeAdmin",
    "vpc.gateways.editor",
    "vpc.gateways.user",
    "vpc.gateways.viewer",
    "vpc.privateAdmin",
    "vpc.publicAdmin",
    "vpc.securityGroups.admin",
    "vpc.securityGroups.user",
    "vpc.user",
)
ROLES = {
    role: Role(id=role, description=f"The role {role}, as the documentation of Yandex Cloud describes it")
    for role in sorted({*LEVELS, *(f"{prefix}.{level}" for prefix in PREFIXES for level in LEVELS), *SPECIAL})
}


class RoleService:
    """Roles are the same in every cloud."""

    def Get(self, request: rpc.GetRoleRequest, _: Caller) -> Role:
        role = ROLES.get(request.role_id)
        if role is None:
            raise not_found("Role", request.role_id)
        return role

    def List(self, request: rpc.ListRolesRequest, _: Caller) -> Message:
        return page(request, ROLES.values())


SERVICES = (Service(rpc, "iam", lambda _: RoleService()),)
