"""Who may act as a service account: have a machine or a group work as it, or get a key of it.

As in Yandex Cloud that takes `iam.serviceAccounts.user` or a role that includes it, on the account, its folder or its
cloud. Beyond that nobody gets at an account that may do more in folders and clouds than he may himself. The operator's
own account lies in no folder: the API does not know it.
"""

from __future__ import annotations

from collections.abc import Iterable

from yandex.cloud.iam.v1.service_account_pb2 import ServiceAccount
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder

from samovar.localcloud.api.errors import denied, not_found
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.api.tokens import OPERATOR
from samovar.localcloud.iam.authorization import Access
from samovar.localcloud.store.store import Store

USE = frozenset({"iam.serviceAccounts.user", "iam.serviceAccounts.admin", "iam.editor", "iam.admin", "editor", "admin"})
"""Each of them lets its holder attach an account."""


def account_in_folder(store: Store, account_id: str) -> ServiceAccount:
    """The account, or NOT_FOUND: also for the operator's own."""
    account = store.get(ServiceAccount, account_id)
    if account is None or not account.folder_id:
        raise not_found("ServiceAccount", account_id)
    return account


def check_use(store: Store, caller: Caller, account_ids: Iterable[str]) -> None:
    """NOT_FOUND or PERMISSION_DENIED unless the caller may let something work as each of these accounts."""
    for account_id in filter(None, account_ids):
        account = account_in_folder(store, account_id)
        if caller.subject != OPERATOR and not USE & _roles_over(store, caller, account):
            raise denied(f"Permission denied: {caller.subject} lacks iam.serviceAccounts.user on {account_id}")
        check_no_more(store, caller, account_id)


def check_no_more(store: Store, caller: Caller, account_id: str) -> None:
    """PERMISSION_DENIED where the account has a role in a folder or a cloud that the caller has not."""
    access = Access(store)
    if caller.subject == OPERATOR:
        return
    held = access.held(caller)
    more = sorted(role for role in access.held(Caller(account_id)) if not covers(held, role))
    if more:
        raise denied(f"Permission denied: {account_id} may do more than {caller.subject}: {', '.join(more)}")


def covers(held: frozenset[str], role: str) -> bool:
    """Whether roles include another: itself, its service's administrator, or a primitive role that is as wide."""
    parent, _, level = role.rpartition(".")
    if held & {"admin", role, f"{parent}.admin", f"{role.partition('.')[0]}.admin"}:
        return True
    return "editor" in held and level != "admin"


def _roles_over(store: Store, caller: Caller, account: ServiceAccount) -> frozenset[str]:
    folder = store.get(Folder, account.folder_id)
    places = [account.id, account.folder_id, *([folder.cloud_id] if folder else [])]
    return Access(store).roles(caller, places)
