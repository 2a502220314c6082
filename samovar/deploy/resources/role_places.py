"""The places outside of the own folder on which an account has a role: another folder, and secrets of others.

An account's labels name them. So a role is found, and taken, when no file names its place any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

import grpc
from yandex.cloud.access.access_pb2 import AccessBinding, ListAccessBindingsRequest
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
"""The beginnings of the labels of an account; the id of the place follows."""
ROLES = {FOLDER: IMAGES_USER, SECRET: SECRET_READER}


class Place(NamedTuple):
    """A folder, or a secret, by the beginning of its label and its id."""

    kind: str
    id: str

    @property
    def role(self) -> str:
        return ROLES[self.kind]

    def client(self, session: Session) -> FolderServiceStub | SecretServiceStub:
        """Return the client of the service that keeps the bindings of the place."""
        return session.client(FolderServiceStub) if self.kind == FOLDER else session.client(SecretServiceStub)


def place_labels(places: Iterable[Place]) -> dict[str, str]:
    """Return the labels that an account with a role on these places has."""
    return {f"{place.kind}{place.id}": "" for place in places}


def labelled_places(labels: Mapping[str, str]) -> frozenset[Place]:
    """Return the places that the labels of an account name."""
    return frozenset(
        Place(kind, label.removeprefix(kind)) for label in labels for kind in ROLES if label.startswith(kind)
    )


def held_places(session: Session, accounts: Mapping[str, Mapping[str, str]]) -> dict[str, frozenset[Place]]:
    """Return the places of which each account has the role. `accounts` are labels of accounts by id; ours alone count.

    Where the bindings of a place may not be read, the labels count. What is not there any more has no bindings.
    """
    named = {account: labelled_places(labels) for account, labels in accounts.items() if is_ours(labels)}
    places = sorted(frozenset[Place]().union(*named.values()))
    listed = run_concurrently(*(partial(_holders, session, place) for place in places))
    holders = dict(zip(places, listed, strict=True))
    return {
        account: frozenset(place for place in named.get(account, ()) if _holds(account, holders[place]))
        for account in accounts
    }


def bindings_of(
    session: Session, client: FolderServiceStub | SecretServiceStub, resource_id: str
) -> list[AccessBinding]:
    """Return all bindings of roles on a resource."""
    request = ListAccessBindingsRequest(resource_id=resource_id)
    return session.list(client.ListAccessBindings, request, lambda page: page.access_bindings)


def _holds(account: str, holders: frozenset[str] | None) -> bool:
    return holders is None or account in holders


def _holders(session: Session, place: Place) -> frozenset[str] | None:
    """The accounts that have the role there; None where nobody may say."""
    try:
        bindings = bindings_of(session, place.client(session), place.id)
    except CallFailed as error:
        if error.status is grpc.StatusCode.PERMISSION_DENIED:
            return None
        if error.status is not grpc.StatusCode.NOT_FOUND:
            raise
        return frozenset()
    return frozenset(each.subject.id for each in bindings if each.role_id == place.role)
