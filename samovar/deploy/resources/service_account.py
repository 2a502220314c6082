"""Service accounts with their roles in the folder, and with who may use them.

A role that is taken before the group is gone leaves a group that can delete nothing any more (yandex-cloud/docs#183).
So an account and its roles are one resource, which is deleted after the groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import grpc
from yandex.cloud.access.access_pb2 import (
    AccessBinding,
    AccessBindingAction,
    AccessBindingDelta,
    ListAccessBindingsRequest,
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

from samovar.cloud.errors import CallFailed
from samovar.cloud.labels import is_ours
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started, WithMessage, started
from samovar.deploy.resources.resource import Existing, Kind, Ref, Resource, Spec

SUBJECT = "serviceAccount"
USE = "iam.serviceAccounts.user"
SECRET_READER = "lockbox.payloadViewer"  # noqa: S105 - a role  # pragma: allowlist secret
IMAGES_USER = "compute.images.user"
"""The role in a folder with which machines of other folders are made from its images."""
ADD, REMOVE = AccessBindingAction.ADD, AccessBindingAction.REMOVE


@dataclass(frozen=True)
class ServiceAccount(Spec):
    """An account and its roles in the folder: the group service's account, or one of machines, which has none.

    `users` are the accounts that may give this one to machines, by a role on it alone. `images_folder` is another
    folder from whose images it may make machines, `secrets` are the ids of secrets of others that it may read.
    """

    KIND = Kind.SERVICE_ACCOUNT

    roles: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    images_folder: str = ""
    secrets: tuple[str, ...] = ()

    def refs(self) -> Iterator[Ref]:
        yield from (Ref(Kind.SERVICE_ACCOUNT, name) for name in self.users)


@dataclass(frozen=True)
class AccountWithRoles(WithMessage[AccountMessage]):
    """An account's message, the roles that it has in the folder, and the ids of the accounts that may use it.

    `images_folder` is the folder of the session's images where it may use them and that is another one, `secrets` are
    those of the session's existing secrets that it may read.
    """

    roles: tuple[str, ...]
    users: tuple[str, ...]
    images_folder: str
    secrets: tuple[str, ...]


class ServiceAccountHandler(Handler[ServiceAccount, AccountWithRoles]):
    """Creates accounts. Roles are given after the account exists, and taken before it is deleted."""

    KIND = Kind.SERVICE_ACCOUNT

    def list(self, session: Session) -> list[AccountWithRoles]:
        bindings, elsewhere = _bindings(session, session.folder_id), _elsewhere(session)
        accounts = _accounts(session)
        return run_concurrently(*(partial(_with_roles, session, each, bindings, elsewhere) for each in accounts))

    def read(self, account: AccountWithRoles, index: IdIndex) -> ServiceAccount:
        users = tuple(sorted(map(index.name_of, account.users)))
        return ServiceAccount(account.roles, users, account.images_folder, account.secrets)

    def create(self, context: Context, resource: Resource[ServiceAccount]) -> Started:
        request = rpc.CreateServiceAccountRequest(
            folder_id=context.session.folder_id, name=resource.name, labels=context.labels(resource)
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
        return Started(existing.id, _bind(context, existing.id, existing.spec, desired.spec))

    def delete(self, session: Session, existing: Existing[ServiceAccount]) -> Operation:
        for operation in _change_roles(session, existing.id, existing.spec, ServiceAccount()):
            session.finish(operation, what=f"take roles of {existing.ref}")
        request = rpc.DeleteServiceAccountRequest(service_account_id=existing.id)
        return session.client(ServiceAccountServiceStub).Delete(request)


def _with_roles(
    session: Session,
    account: AccountMessage,
    bindings: Sequence[AccessBinding],
    elsewhere: Mapping[str, frozenset[str]],
) -> AccountWithRoles:
    """Asks who may use an account for our own alone."""
    places = {place for place, accounts in elsewhere.items() if account.id in accounts}
    images_folder = session.images_folder_id if session.images_folder_id in places else ""
    secrets = tuple(sorted(places & session.existing_secrets))
    roles = tuple(sorted(binding.role_id for binding in bindings if binding.subject.id == account.id))
    if not is_ours(account.labels):
        return AccountWithRoles(account, roles, (), images_folder, secrets)
    request = ListAccessBindingsRequest(resource_id=account.id)
    client = session.client(ServiceAccountServiceStub)
    users = session.list(client.ListAccessBindings, request, lambda page: page.access_bindings)
    user_ids = tuple(each.subject.id for each in users if each.role_id == USE)
    return AccountWithRoles(account, roles, user_ids, images_folder, secrets)


def _elsewhere(session: Session) -> dict[str, frozenset[str]]:
    """The accounts that may use the folder of images, where that is another one, and the existing secrets, by id."""
    places = {} if session.images_folder_id == session.folder_id else {session.images_folder_id: IMAGES_USER}
    places |= dict.fromkeys(session.existing_secrets, SECRET_READER)
    return {place: _holders(session, place, role) for place, role in places.items()}


def _holders(session: Session, resource_id: str, role: str) -> frozenset[str]:
    """None of what is not there any more: a destruction must not depend on it."""
    try:
        bindings = _bindings(session, resource_id)
    except CallFailed as error:
        if error.status is not grpc.StatusCode.NOT_FOUND:
            raise
        return frozenset()
    return frozenset(each.subject.id for each in bindings if each.role_id == role)


def _places(session: Session, spec: ServiceAccount) -> dict[str, tuple[str, ...]]:
    """The roles of an account by the folder or the secret on which it has them; those in its own folder go last."""
    places: dict[str, tuple[str, ...]] = dict.fromkeys(spec.secrets, (SECRET_READER,))
    if spec.images_folder:
        places[spec.images_folder] = (IMAGES_USER,)
    return {**places, session.folder_id: spec.roles}


def _change_roles(
    session: Session, account_id: str, before: ServiceAccount, after: ServiceAccount
) -> Iterator[Operation]:
    """Makes the roles on folders and secrets what they are in `after`; yields each change, once it is done."""
    old, new = _places(session, before), _places(session, after)
    for place in dict.fromkeys([*old, *new]):
        if old.get(place, ()) != new.get(place, ()):
            yield _update_roles(session, place, account_id, old.get(place, ()), new.get(place, ()))


def _bind(context: Context, account_id: str, before: ServiceAccount, after: ServiceAccount) -> Operation:
    """Makes the roles and the users what they are in `after`; returns the last operation, of which there is one."""
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


def _bindings(session: Session, resource_id: str) -> list[AccessBinding]:
    request = ListAccessBindingsRequest(resource_id=resource_id)
    client = _binder(session, resource_id)
    return session.list(client.ListAccessBindings, request, lambda page: page.access_bindings)


def _binder(session: Session, resource_id: str) -> FolderServiceStub | SecretServiceStub:
    """The service that keeps the bindings of a folder or of an existing secret."""
    of_secret = resource_id in session.existing_secrets
    return session.client(SecretServiceStub) if of_secret else session.client(FolderServiceStub)


def _update_roles(
    session: Session, resource_id: str, account_id: str, before: Iterable[str], after: Iterable[str]
) -> Operation:
    held, desired = set(before), set(after)
    deltas = [
        AccessBindingDelta(action=ADD if role in desired else REMOVE, access_binding=account_binding(role, account_id))
        for role in sorted(held ^ desired)
    ]
    request = UpdateAccessBindingsRequest(resource_id=resource_id, access_binding_deltas=deltas)
    client = _binder(session, resource_id)
    # Bindings of one folder are changed one at a time: another environment's rollout may be at it.
    return session.repeat_on_conflict(partial(client.UpdateAccessBindings, request), what="change roles in the folder")
