"""The roles that an account has outside of the own folder: on another folder, and on secrets of others.

An account's labels name them. So a role is found, and taken, when no file names it any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

import grpc
from yandex.cloud.access.access_pb2 import AccessBinding, ListAccessBindingsRequest
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from samovar.cloud.errors import CallFailed
from samovar.cloud.labels import is_ours
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently

SECRET_READER = "lockbox.payloadViewer"  # noqa: S105 - a role  # pragma: allowlist secret
IMAGES_USER = "compute.images.user"
"""The role in a folder with which machines of other folders are made from its images."""
FOLDER, SECRET = "on-folder-", "on-secret-"  # pragma: allowlist secret - a label
"""The beginnings of the labels of an account; the id of the folder or the secret follows."""
ROLES = {FOLDER: IMAGES_USER, SECRET: SECRET_READER}
AccessClient = FolderServiceStub | SecretServiceStub | ServiceAccountServiceStub
"""The client of a service that keeps access bindings."""


class Grant(NamedTuple):
    """A role on a folder or a secret, by the beginning of its label and the id of what it is on."""

    kind: str
    id: str

    @property
    def role(self) -> str:
        return ROLES[self.kind]

    def client(self, session: Session) -> FolderServiceStub | SecretServiceStub:
        """Return the client of the service that keeps the access bindings."""
        return session.client(FolderServiceStub) if self.kind == FOLDER else session.client(SecretServiceStub)


def grant_labels(grants: Iterable[Grant]) -> dict[str, str]:
    """Return the labels that an account with these grants has."""
    return {f"{grant.kind}{grant.id}": "" for grant in grants}


def labelled_grants(labels: Mapping[str, str]) -> frozenset[Grant]:
    """Return the grants that the labels of an account name."""
    return frozenset(
        Grant(kind, label.removeprefix(kind)) for label in labels for kind in ROLES if label.startswith(kind)
    )


def held_grants(session: Session, accounts: Mapping[str, Mapping[str, str]]) -> dict[str, frozenset[Grant]]:
    """Return the grants that each account has. `accounts` are labels of accounts by id; ours alone count.

    Where access bindings may not be read, the labels count. What is not there any more has no bindings.
    """
    named = {account: labelled_grants(labels) for account, labels in accounts.items() if is_ours(labels)}
    grants = sorted(frozenset[Grant]().union(*named.values()))
    listed = run_concurrently(*(partial(_holders, session, grant) for grant in grants))
    holders = dict(zip(grants, listed, strict=True))
    return {
        account: frozenset(grant for grant in named.get(account, ()) if _holds(account, holders[grant]))
        for account in accounts
    }


def bindings_of(session: Session, client: AccessClient, resource_id: str) -> list[AccessBinding]:
    """Return all bindings of roles on a resource."""
    request = ListAccessBindingsRequest(resource_id=resource_id)
    return session.list(client.ListAccessBindings, request, lambda page: page.access_bindings)


def _holds(account: str, holders: frozenset[str] | None) -> bool:
    return holders is None or account in holders


def _holders(session: Session, grant: Grant) -> frozenset[str] | None:
    """Return the accounts that have the role; None where they may not be read."""
    try:
        bindings = bindings_of(session, grant.client(session), grant.id)
    except CallFailed as error:
        if error.status is grpc.StatusCode.PERMISSION_DENIED:
            return None
        if error.status is not grpc.StatusCode.NOT_FOUND:
            raise
        return frozenset()
    return frozenset(each.subject.id for each in bindings if each.role_id == grant.role)
