"""The roles of services allow some methods beyond those of viewer, editor and admin."""

from __future__ import annotations

import pytest

from samovar.core.api_methods import is_read
from samovar.localcloud.iam.rpc import ROLES
from samovar.localcloud.iam.service_roles import ALLOWED, UNKNOWN, roles_for


def _roles(prefix: str, method: str) -> frozenset[str]:
    service, _, name = method.partition("/")
    return roles_for(service, name, prefix, reads=is_read(name))


@pytest.mark.parametrize(
    ("prefix", "method", "role"),
    [
        ("iam", "ServiceAccountService/Create", "iam.serviceAccounts.admin"),
        ("iam", "ServiceAccountService/SetAccessBindings", "iam.serviceAccounts.admin"),
        ("iam", "ApiKeyService/Create", "iam.serviceAccounts.apiKeyAdmin"),
        ("compute", "InstanceService/Stop", "compute.operator"),
        ("compute", "DiskService/List", "compute.operator"),
        ("vpc", "SecurityGroupService/UpdateRules", "vpc.securityGroups.admin"),
        ("vpc", "GatewayService/Create", "vpc.publicAdmin"),
    ],
)
def test_a_role_allows_the_methods_of_its_page(prefix: str, method: str, role: str) -> None:
    assert role in _roles(prefix, method)


@pytest.mark.parametrize(
    ("prefix", "method", "role"),
    [
        ("iam", "ServiceAccountService/Create", "iam.serviceAccounts.keyAdmin"),
        ("iam", "KeyService/Create", "iam.serviceAccounts.apiKeyAdmin"),
        ("compute", "InstanceService/Delete", "compute.operator"),
        ("compute", "DiskService/List", "vpc.publicAdmin"),
        ("compute", "SnapshotScheduleService/SetAccessBindings", "compute.snapshotSchedules.editor"),
        ("vpc", "NetworkService/Delete", "vpc.securityGroups.admin"),
    ],
)
def test_a_role_allows_no_other_method(prefix: str, method: str, role: str) -> None:
    assert role not in _roles(prefix, method)


def test_roles_that_allow_something_are_listed_and_unknown_ones_are_not() -> None:
    assert ALLOWED.keys() <= ROLES.keys()
    assert not UNKNOWN & ROLES.keys()
