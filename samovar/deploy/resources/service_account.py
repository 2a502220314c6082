"""Service accounts with their roles in the folder: given after the account is there, taken after what needs them.

A role that is taken before the group is gone leaves a group that can delete nothing any more (yandex-cloud/docs#183):
so both are one resource here, which goes after the groups.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from yandex.cloud.access.access_pb2 import (
    AccessBinding,
    AccessBindingAction,
    AccessBindingDelta,
    ListAccessBindingsRequest,
    Subject,
    UpdateAccessBindingsRequest,
)
from yandex.cloud.iam.v1 import service_account_service_pb2 as rpc
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from samovar.cloud.session import Session, side_by_side
from samovar.deploy.foundation_specs import ServiceAccount
from samovar.deploy.resources.handler import Begun, Fixed, Names, Told, Work, begun
from samovar.deploy.specs import Existing, Resource

SUBJECT = "serviceAccount"
ADD, REMOVE = AccessBindingAction.ADD, AccessBindingAction.REMOVE


@dataclass(frozen=True)
class Account(Told):
    """An account's message, and the roles that it has in the folder."""

    roles: tuple[str, ...]


class ServiceAccounts(Fixed):
    """The account by which groups make machines, and those that machines have."""

    def list(self, session: Session) -> list[Any]:
        found, bindings = side_by_side(lambda: _accounts(session), lambda: _bindings(session))
        return [
            Account(account, tuple(sorted(b.role_id for b in bindings if b.subject.id == account.id)))
            for account in found
        ]

    def read(self, account: Account, _: Names) -> ServiceAccount:
        return ServiceAccount(account.roles)

    def create(self, work: Work, resource: Resource) -> Begun:
        spec = cast("ServiceAccount", resource.spec)
        request = rpc.CreateServiceAccountRequest(
            folder_id=work.session.folder_id, name=resource.name, labels=work.labels(resource)
        )
        operation = work.session.client(ServiceAccountServiceStub).Create(request)
        made = begun(operation, rpc.CreateServiceAccountMetadata(), lambda told: told.service_account_id)
        if not spec.roles:
            return made
        work.session.finish(operation, what=f"create {resource.ref}")
        return Begun(made.id, _update(work.session, _deltas(made.id, (), spec.roles)))

    def update(self, work: Work, existing: Existing, wanted: Resource, _: tuple[str, ...]) -> Begun:
        before, after = cast("ServiceAccount", existing.spec), cast("ServiceAccount", wanted.spec)
        return Begun(existing.id, _update(work.session, _deltas(existing.id, before.roles, after.roles)))

    def delete(self, session: Session, existing: Existing) -> Operation:
        if roles := cast("ServiceAccount", existing.spec).roles:
            session.finish(_update(session, _deltas(existing.id, roles, ())), what=f"take roles of {existing.ref}")
        request = rpc.DeleteServiceAccountRequest(service_account_id=existing.id)
        return session.client(ServiceAccountServiceStub).Delete(request)


def binding(role: str, account_id: str) -> AccessBinding:
    """A role of a service account."""
    return AccessBinding(role_id=role, subject=Subject(id=account_id, type=SUBJECT))


def _accounts(session: Session) -> Any:
    request = rpc.ListServiceAccountsRequest(folder_id=session.folder_id)
    return session.list(session.client(ServiceAccountServiceStub).List, request, "service_accounts")


def _bindings(session: Session) -> Any:
    request = ListAccessBindingsRequest(resource_id=session.folder_id)
    return session.list(session.client(FolderServiceStub).ListAccessBindings, request, "access_bindings")


def _deltas(account_id: str, before: Iterable[str], after: Iterable[str]) -> list[AccessBindingDelta]:
    had, wanted = set(before), set(after)
    return [
        AccessBindingDelta(action=ADD if role in wanted else REMOVE, access_binding=binding(role, account_id))
        for role in sorted(had ^ wanted)
    ]


def _update(session: Session, deltas: list[AccessBindingDelta]) -> Operation:
    request = UpdateAccessBindingsRequest(resource_id=session.folder_id, access_binding_deltas=deltas)
    return session.client(FolderServiceStub).UpdateAccessBindings(request)
