"""The RPCs of yandex.cloud.iam for accounts of people. Every login has one, unless the home knows who has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from yandex.cloud.iam.v1 import user_account_service_pb2 as accounts_rpc
from yandex.cloud.iam.v1 import yandex_passport_user_account_service_pb2 as passport_rpc
from yandex.cloud.iam.v1.user_account_pb2 import UserAccount

from samovar.localcloud.api.errors import not_found
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.registry import Service
from samovar.localcloud.store.ids import derived_id
from samovar.localcloud.store.store import NoteKey, Store

PEOPLE = "people"
LOGINS = NoteKey[list[str]]("people.logins")
"""The note on the people that lists who has an account; where there is none, everybody has."""


def choose_logins(store: Store, logins: Iterable[str]) -> None:
    """Makes these the people of this home until others are chosen."""
    store.note(PEOPLE, LOGINS, list(logins))


class YandexPassportUserAccountService:
    """Finds the account of a login. It is made on the first call, and its id follows from the login."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def GetByLogin(self, request: passport_rpc.GetUserAccountByLoginRequest, _: Caller) -> UserAccount:
        logins = self._store.noted(PEOPLE, LOGINS)
        if logins is not None and request.login not in logins:
            raise not_found("Login", request.login)
        account = UserAccount(id=derived_id("aje", hashlib.sha256(request.login.encode()).digest()))
        account.yandex_passport_user_account.login = request.login
        account.yandex_passport_user_account.default_email = f"{request.login}@yandex.ru"
        self._store.put(account)
        return account


class UserAccountService:
    """Reads the accounts that GetByLogin has made."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def Get(self, request: accounts_rpc.GetUserAccountRequest, _: Caller) -> UserAccount:
        account = self._store.get(UserAccount, request.user_account_id)
        if account is None:
            raise not_found("UserAccount", request.user_account_id)
        return account


SERVICES = (
    Service(accounts_rpc, "iam", lambda context: UserAccountService(context.store)),
    Service(passport_rpc, "iam", lambda context: YandexPassportUserAccountService(context.store)),
)
