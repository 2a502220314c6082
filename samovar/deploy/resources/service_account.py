"""Service accounts with their roles in the folder, and with who may use them.

A role that is taken before the group is gone leaves a group that can delete nothing any more (yandex-cloud/docs#183).
So an account and its roles are one resource, which is deleted after the groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.access.access_pb2 import (
    AccessBinding,
    AccessBindingAction,
    AccessBindingDelta,
    SetAccessBindingsRequest,
    Subject,
    UpdateAccessBindingsRequest,
)
from yandex.cloud.iam.v1 import service_account_service_pb2 as rpc
from yandex.cloud.iam.v1.service_account_pb2 import ServiceAccount as AccountMessage
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from samovar.cloud.labels import is_ours
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started, WithMessage, started
from samovar.deploy.resources.resource import Existing, Kind, Ref, Resource, Spec
from samovar.deploy.resources.role_grants import FOLDER, SECRET, Grant, bindings_of, grant_labels, held_grants

SUBJECT = "serviceAccount"
USE = "iam.serviceAccounts.user"
ADD, REMOVE = AccessBindingAction.ADD, AccessBindingAction.REMOVE


@dataclass(frozen=True)
class ServiceAccount(Spec):
    """An account and its roles in the folder: the group service's account, or one of machines, which has none.

    `users` are the accounts that may give this one to machines, by a role on it alone. `images_folders` are other
    folders from whose images it may make machines, `secrets` are the ids of secrets of others that it may read.
    """

    KIND = Kind.SERVICE_ACCOUNT

    roles: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    images_folders: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    @property
    def grants(self) -> frozenset[Grant]:
        """Its roles on what lies outside of the own folder."""
        folders = (Grant(FOLDER, each) for each in self.images_folders)
        return frozenset((*folders, *(Grant(SECRET, each) for each in self.secrets)))

    def refs(self) -> Iterator[Ref]:
        yield from (Ref(Kind.SERVICE_ACCOUNT, name) for name in self.users)


@dataclass(frozen=True)
class AccountWithRoles(WithMessage[AccountMessage]):
    """An account's message, its roles in the folder, the ids of those that may use it, and its grants elsewhere."""

    roles: tuple[str, ...]
    users: tuple[str, ...]
    grants: frozenset[Grant]


class ServiceAccountHandler(Handler[ServiceAccount, AccountWithRoles]):
    """Creates accounts. Roles are given after the account exists, and taken before it is deleted."""

    KIND = Kind.SERVICE_ACCOUNT

    def list(self, session: Session) -> list[AccountWithRoles]:
        bindings = bindings_of(session, session.client(FolderServiceStub), session.folder_id)
        accounts = _accounts(session)
        grants = held_grants(session, {account.id: account.labels for account in accounts})
        return run_concurrently(*(partial(_with_roles, session, each, bindings, grants[each.id]) for each in accounts))

    def read(self, account: AccountWithRoles, index: IdIndex) -> ServiceAccount:
        users = tuple(sorted(map(index.name_of, account.users)))
        ids = {
            kind: tuple(sorted(each.id for each in account.grants if each.kind == kind)) for kind in (FOLDER, SECRET)
        }
        return ServiceAccount(account.roles, users, ids[FOLDER], ids[SECRET])

    def create(self, context: Context, resource: Resource[ServiceAccount]) -> Started:
        request = rpc.CreateServiceAccountRequest(
            folder_id=context.session.folder_id, name=resource.name, labels=_labels(context, resource)
        )
        operation = context.session.client(ServiceAccountServiceStub).Create(request)
        account = started(operation, rpc.CreateServiceAccountMetadata(), lambda metadata: metadata.service_account_id)
        if resource.spec == ServiceAccount():
            return account
        context.session.finish(operation, what=f"create {resource.ref}")
        return Started(account.id, _bind(context, account.id, ServiceAccount(), resource.spec))

    def update(
        self,
        context: Context,
        existing: Existing[ServiceAccount],
        desired: Resource[ServiceAccount],
        _: tuple[str, ...],
    ) -> Started:
        """Change its roles. Labels name each grant elsewhere before it is given, until it is taken."""
        before, after = existing.spec, desired.spec
        if after.grants - before.grants:
            _set_labels(context, existing.id, _labels(context, desired, before.grants))
        operation = _bind(context, existing.id, before, after)
        if before.grants - after.grants:
            context.session.finish(operation, what=f"update {existing.ref}")
            operation = _set_labels(context, existing.id, _labels(context, desired))
        return Started(existing.id, operation)

    def delete(self, session: Session, existing: Existing[ServiceAccount]) -> Operation:
        for operation in _change_roles(session, existing.id, existing.spec, ServiceAccount()):
            session.finish(operation, what=f"take roles of {existing.ref}")
        request = rpc.DeleteServiceAccountRequest(service_account_id=existing.id)
        return session.client(ServiceAccountServiceStub).Delete(request)


def _labels(context: Context, resource: Resource[ServiceAccount], more: Iterable[Grant] = ()) -> dict[str, str]:
    return {**context.labels(resource), **grant_labels((*resource.spec.grants, *more))}


def _set_labels(context: Context, account_id: str, labels: dict[str, str]) -> Operation:
    """Set the labels of an account, and wait until they are set."""
    mask = FieldMask(paths=["labels"])
    request = rpc.UpdateServiceAccountRequest(service_account_id=account_id, update_mask=mask, labels=labels)
    operation = context.session.client(ServiceAccountServiceStub).Update(request)
    return context.session.finish(operation, what="change the labels of an account")


def _with_roles(
    session: Session, account: AccountMessage, bindings: Sequence[AccessBinding], grants: frozenset[Grant]
) -> AccountWithRoles:
    """Ask who may use an account for our own alone."""
    roles = tuple(sorted(binding.role_id for binding in bindings if binding.subject.id == account.id))
    if not is_ours(account.labels):
        return AccountWithRoles(account, roles, (), grants)
    users = bindings_of(session, session.client(ServiceAccountServiceStub), account.id)
    user_ids = tuple(each.subject.id for each in users if each.role_id == USE)
    return AccountWithRoles(account, roles, user_ids, grants)


def _change_roles(
    session: Session, account_id: str, before: ServiceAccount, after: ServiceAccount
) -> Iterator[Operation]:
    """Make the roles what they are in `after`, those in the own folder last; yield each change, once it is done."""
    for grant in sorted(before.grants ^ after.grants):
        taken, given = ((grant.role,) if grant in spec.grants else () for spec in (before, after))
        yield _update_roles(session, grant.client(session), grant.id, account_id, taken, given)
    if before.roles != after.roles:
        client = session.client(FolderServiceStub)
        yield _update_roles(session, client, session.folder_id, account_id, before.roles, after.roles)


def _bind(context: Context, account_id: str, before: ServiceAccount, after: ServiceAccount) -> Operation:
    """Make the roles and the users what they are in `after`; return the last operation, of which there is one."""
    session = context.session
    *_, operation = Operation(done=True), *_change_roles(session, account_id, before, after)
    if before.users != after.users:
        bindings = [account_binding(USE, context.id(Kind.SERVICE_ACCOUNT, name)) for name in after.users]
        request = SetAccessBindingsRequest(resource_id=account_id, access_bindings=bindings)
        client = session.client(ServiceAccountServiceStub)
        operation = session.repeat_on_conflict(partial(client.SetAccessBindings, request), what="change who may use it")
    return operation


def account_binding(role: str, account_id: str) -> AccessBinding:
    """Return the binding of a role to a service account."""
    return AccessBinding(role_id=role, subject=Subject(id=account_id, type=SUBJECT))


def group_service_account(environment: str) -> str:
    """Return the name of the account by which the environment's instance groups create machines."""
    return f"{environment}-groups"


def _accounts(session: Session) -> list[AccountMessage]:
    request = rpc.ListServiceAccountsRequest(folder_id=session.folder_id)
    return session.list(session.client(ServiceAccountServiceStub).List, request, lambda page: page.service_accounts)


def _update_roles(
    session: Session,
    client: FolderServiceStub | SecretServiceStub,
    resource_id: str,
    account_id: str,
    before: Iterable[str],
    after: Iterable[str],
) -> Operation:
    held, desired = set(before), set(after)
    deltas = [
        AccessBindingDelta(action=ADD if role in desired else REMOVE, access_binding=account_binding(role, account_id))
        for role in sorted(held ^ desired)
    ]
    request = UpdateAccessBindingsRequest(resource_id=resource_id, access_binding_deltas=deltas)
    # Bindings of one folder are changed one at a time: another environment's rollout may be at it.
    return session.repeat_on_conflict(partial(client.UpdateAccessBindings, request), what="change roles in the folder")
