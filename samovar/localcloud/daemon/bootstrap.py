"""Bootstraps the operator's credentials: a token and a service account's key, made once a home, of mode 0600."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from yandex.cloud.iam.v1.key_pb2 import Key
from yandex.cloud.iam.v1.service_account_pb2 import ServiceAccount
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder

from samovar.core.files import write_private
from samovar.localcloud.api.tokens import OPERATOR, OPERATOR_LIFETIME, Tokens
from samovar.localcloud.iam.authorization import AccessBindings
from samovar.localcloud.iam.model import Keys, ServiceAccounts
from samovar.localcloud.resource_manager.model import ensure_folder
from samovar.localcloud.resources.model import stamp
from samovar.localcloud.store.store import Store


@dataclass(frozen=True)
class Operator:
    """The credentials with which a client acts as the operator."""

    folder: Folder
    token: str
    key_file: Path


def ensure_operator(folder_of_secrets: Path, store: Store, tokens: Tokens) -> Operator:
    """Find the operator's token and key, or make them."""
    token_file, key_file = folder_of_secrets / "operator-token", folder_of_secrets / "operator-key.json"
    with store.transaction():
        folder = ensure_folder(store)
        account_id = _account_of(store, key_file)
        if not account_id:
            key = _make_key(store)
            account_id = key["service_account_id"]
            write_private(key_file, json.dumps(key, indent=2))
        _take_out_of_folders(store, account_id)
        AccessBindings(store).grant(folder.id, "admin", account_id)
    if not token_file.exists() or tokens.subject(token_file.read_text()) != OPERATOR:
        write_private(token_file, tokens.issue(OPERATOR, OPERATOR_LIFETIME).text.encode())
    return Operator(folder, token_file.read_text(), key_file)


def _account_of(store: Store, key_file: Path) -> str:
    """Return the account of the key, or nothing where the key is no use: the file may be older than the store."""
    try:
        key = json.loads(key_file.read_text())
        stored = store.get(Key, key["id"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return stored.service_account_id if stored else ""


def _take_out_of_folders(store: Store, account_id: str) -> None:
    """Clear the account's folder, as an older home set one: no role on a folder reaches an account without one."""
    account = store.must(ServiceAccount, account_id)
    account.folder_id = ""
    store.put(account)


def _make_key(store: Store) -> dict[str, str]:
    """Make a key in the form of `yc iam key create`, which the clients read."""
    account = ServiceAccount(id=ServiceAccounts(store).new_id(), name=OPERATOR)
    account.status = ServiceAccount.ACTIVE
    stamp(account)
    store.put(account)
    key, private_key = Keys(store).make(account.id)
    return {
        "id": key.id,
        "service_account_id": account.id,
        "created_at": key.created_at.ToJsonString(),
        "key_algorithm": Key.Algorithm.Name(key.key_algorithm),
        "public_key": key.public_key,
        "private_key": private_key,
    }
