"""Checks the credentials: the account, the folder, and the roles in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from yandex.cloud.iam.v1.service_account_service_pb2 import ListServiceAccountsRequest
from yandex.cloud.iam.v1.service_account_service_pb2_grpc import ServiceAccountServiceStub
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder
from yandex.cloud.resourcemanager.v1.folder_service_pb2 import GetFolderRequest
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from samovar.cloud.labels import is_ours
from samovar.cloud.session import Session
from samovar.deploy.preconditions import check_folder
from samovar.deploy.resources.role_grants import bindings_of
from samovar.ops.doctor.finding import Finding, State, ok
from samovar.project.environment import Environment

WHO, FOLDER, ROLES = "identity", "folder", "roles"
REQUIRED = {
    "compute.editor": "machines, disks, images, groups",
    "vpc.admin": "networks, addresses, security groups",
    "load-balancer.editor": "balancers and their targets",
    "lockbox.admin": "secrets, and who may read them",
    "iam.serviceAccounts.admin": "the accounts of groups and machines",
    "resource-manager.admin": "the roles of the group service's account",
}
"""The roles that an operator needs in the folder, each with its purpose; no more than that."""
EVERYTHING = "admin"


def identity(session: Session) -> Iterator[Finding]:
    """The API has no "who am I": a key names its account, a token names none."""
    account = session.identity.account
    if account:
        yield ok(WHO, f"the service account {account}, by {session.access.source}")
    else:
        yield ok(WHO, f"{session.access.source}; whose it is the API does not say")


def folder(session: Session) -> Iterator[Finding]:
    """Yield whether the folder exists and can be read."""
    message = session.client(FolderServiceStub).Get(GetFolderRequest(folder_id=session.folder_id))
    about = f"{message.name} ({message.id}) of the cloud {message.cloud_id}"
    if message.status not in {Folder.ACTIVE, Folder.STATUS_UNSPECIFIED}:
        state = Folder.Status.Name(message.status)
        yield Finding(FOLDER, State.FAILURE, f"{about} is {state}", "choose another: YC_FOLDER_ID")
    elif session.access.cloud_id not in {"", message.cloud_id}:
        expected = session.access.cloud_id
        yield Finding(FOLDER, State.FAILURE, f"{about}, not of {expected}", "let YC_CLOUD_ID and YC_FOLDER_ID agree")
    else:
        yield ok(FOLDER, about)


def belonging(session: Session, environment: Environment) -> Iterator[Finding]:
    """Yield whether the environment's file names this folder."""
    if lines := check_folder(session, environment):
        remedy = f"add to its config.yaml: {', '.join(lines)}"
        yield Finding(FOLDER, State.WARNING, f"{environment.name} does not say which folder it belongs to", remedy)


def roles(session: Session) -> Iterator[Finding]:
    """Yield the roles of each account in the folder, and the roles that our account lacks."""
    request = ListServiceAccountsRequest(folder_id=session.folder_id)
    accounts = session.list(session.client(ServiceAccountServiceStub).List, request, lambda page: page.service_accounts)
    names = {a.id: f"{a.name}{' (made by the tool)' if is_ours(a.labels) else ''}" for a in accounts}
    held = _held(session)
    for subject, theirs in sorted(held.items()):
        yield ok(ROLES, f"{names.get(subject, subject)}: {', '.join(sorted(theirs))}")
    for account_id in names.keys() - held.keys():
        yield ok(ROLES, f"{names[account_id]}: none in the folder")
    if account := session.identity.account:
        yield from _lacking(account, held.get(account, set()))


def _held(session: Session) -> dict[str, set[str]]:
    held: dict[str, set[str]] = defaultdict(set)
    for binding in bindings_of(session, session.client(FolderServiceStub), session.folder_id):
        held[binding.subject.id].add(binding.role_id)
    return held


def _lacking(account: str, held: Iterable[str]) -> Iterator[Finding]:
    """A role of the cloud, or of a group of accounts, counts as well and is not seen here: so it is a warning."""
    lacking = [role for role in REQUIRED if not covered(role, held)]
    if lacking:
        what = "; ".join(f"{role} ({REQUIRED[role]})" for role in lacking)
        command = f"yc resource-manager folder add-access-binding FOLDER --role ROLE --subject serviceAccount:{account}"
        yield Finding(
            ROLES,
            State.WARNING,
            f"we have not, in the folder itself: {what}",
            f"unless the cloud gives them: {command}",
        )


def covered(role: str, held: Iterable[str]) -> bool:
    """Return whether one of the roles held includes `role`: a service's admin is its editor, an admin is everything."""
    service, _, level = role.rpartition(".")
    enough = {EVERYTHING, role, f"{service}.admin", f"{service.partition('.')[0]}.admin"}
    return not enough.isdisjoint(held) or (level == "editor" and "editor" in held)
