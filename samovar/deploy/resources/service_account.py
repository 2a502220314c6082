"""Service accounts with their roles in the folder.

A role that is taken before the group is gone leaves a group that can delete nothing any more (yandex-cloud/docs#183).
So an account and its roles are one resource, which is deleted after the groups.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from yandex.cloud.access.access_pb2 import (
    AccessBinding,
    AccessBindingAction,
    AccessBindingDelta,
    ListAccessBindingsRequest,
    Subject,
    UpdateAccessBindingsRequest,
)
from yandex.cloud.iam.v1 import service_account_service_pb2 as rpc
from yandex.cloud.iam.v1.service_account_pb2 import ServiceAccount as AccountMessage
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from samovar.cloud.session import Session
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started, WithMessage, started
from samovar.deploy.resources.resource import Existing, Kind, Resource, Spec

SUBJECT = "serviceAccount"
ADD, REMOVE = AccessBindingAction.ADD, AccessBindingAction.REMOVE


@dataclass(frozen=True)
class ServiceAccount(Spec):
    """An account and its roles in the folder: the group service's account, or one of machines, which has none."""

    KIND = Kind.SERVICE_ACCOUNT

    roles: tuple[str, ...] = ()


@dataclass(frozen=True)
class AccountWithRoles(WithMessage[AccountMessage]):
    """An account's message, and the roles that it has in the folder."""

    roles: tuple[str, ...]


class ServiceAccountHandler(Handler[ServiceAccount, AccountWithRoles]):
    """Creates accounts. Roles are given after the account exists, and taken before it is deleted."""

    KIND = Kind.SERVICE_ACCOUNT

    def list(self, session: Session) -> list[AccountWithRoles]:
        bindings = _bindings(session)
        return [
            AccountWithRoles(account, tuple(sorted(b.role_id for b in bindings if b.subject.id == account.id)))
            for account in _accounts(session)
        ]

    def read(self, account: AccountWithRoles, _: IdIndex) -> ServiceAccount:
        return ServiceAccount(account.roles)

    def create(self, context: Context, resource: Resource[ServiceAccount]) -> Started:
        request = rpc.CreateServiceAccountRequest(
            folder_id=context.session.folder_id, name=resource.name, labels=context.labels(resource)
        )
        operation = context.session.client(ServiceAccountServiceStub).Create(request)
        account = started(operation, rpc.CreateServiceAccountMetadata(), lambda metadata: metadata.service_account_id)
        if not resource.spec.roles:
            return account
        context.session.finish(operation, what=f"create {resource.ref}")
        return Started(account.id, _update_roles(context.session, account.id, (), resource.spec.roles))

    def update(
        self,
        context: Context,
        existing: Existing[ServiceAccount],
        desired: Resource[ServiceAccount],
        _: tuple[str, ...],
    ) -> Started:
        operation = _update_roles(context.session, existing.id, existing.spec.roles, desired.spec.roles)
        return Started(existing.id, operation)

    def delete(self, session: Session, existing: Existing[ServiceAccount]) -> Operation:
        if roles := existing.spec.roles:
            session.finish(_update_roles(session, existing.id, roles, ()), what=f"take roles of {existing.ref}")
        request = rpc.DeleteServiceAccountRequest(service_account_id=existing.id)
        return session.client(ServiceAccountServiceStub).Delete(request)


def account_binding(role: str, account_id: str) -> AccessBinding:
    """Return the binding of a role to a service account."""
    return AccessBinding(role_id=role, subject=Subject(id=account_id, type=SUBJECT))


def group_service_account(environment: str) -> str:
    """Return the name of the account by which the environment's instance groups create machines."""
    return f"{environment}-groups"


def _accounts(session: Session) -> list[AccountMessage]:
    request = rpc.ListServiceAccountsRequest(folder_id=session.folder_id)
    return session.list(session.client(ServiceAccountServiceStub).List, request, lambda page: page.service_accounts)


def _bindings(session: Session) -> list[AccessBinding]:
    request = ListAccessBindingsRequest(resource_id=session.folder_id)
    return session.list(
        session.client(FolderServiceStub).ListAccessBindings, request, lambda page: page.access_bindings
    )


def _update_roles(session: Session, account_id: str, before: Iterable[str], after: Iterable[str]) -> Operation:
    held, desired = set(before), set(after)
    deltas = [
        AccessBindingDelta(action=ADD if role in desired else REMOVE, access_binding=account_binding(role, account_id))
        for role in sorted(held ^ desired)
    ]
    request = UpdateAccessBindingsRequest(resource_id=session.folder_id, access_binding_deltas=deltas)
    client = session.client(FolderServiceStub)
    # Bindings of one folder are changed one at a time: another environment's rollout may be at it.
    return session.repeat_on_conflict(partial(client.UpdateAccessBindings, request), what="change roles in the folder")
