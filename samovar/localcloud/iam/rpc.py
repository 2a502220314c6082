"""The RPCs of yandex.cloud.iam: service accounts, roles, accounts of people, and tokens for a key's JWT.

Source of the ids of roles: the documentation of Identity and Access Management. A binding may name others.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

import jwt
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from jwt.types import Options
from yandex.cloud.iam.v1 import iam_token_service_pb2 as tokens_rpc
from yandex.cloud.iam.v1 import role_service_pb2 as roles_rpc
from yandex.cloud.iam.v1 import service_account_service_pb2 as accounts_rpc
from yandex.cloud.iam.v1 import user_account_service_pb2 as user_accounts_rpc
from yandex.cloud.iam.v1 import yandex_passport_user_account_service_pb2 as passport_rpc
from yandex.cloud.iam.v1.key_pb2 import Key
from yandex.cloud.iam.v1.role_pb2 import Role
from yandex.cloud.iam.v1.service_account_pb2 import ServiceAccount
from yandex.cloud.iam.v1.user_account_pb2 import UserAccount
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import Refused, not_found
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.api.tokens import OPERATOR, Tokens
from samovar.localcloud.iam.model import ServiceAccounts, check_unused
from samovar.localcloud.iam.service_roles import UNKNOWN
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import fill, require, stamp, update
from samovar.localcloud.resources.rpc import WithAccessBindings, WithOperations, page
from samovar.localcloud.store.ids import derived_id
from samovar.localcloud.store.store import NoteKey, Store

AUDIENCE_PATH = "/iam/v1/tokens"
JWT_LIFETIME = 3600
"""Seconds from its `iat` to its `exp`, at the most, as Yandex Cloud documents it."""
LEEWAY = 60
CLAIMS: Options = {"verify_aud": False, "require": ["exp", "iat"]}
LEVELS = ("auditor", "viewer", "editor", "admin")
PREFIXES = ("compute", "iam", "load-balancer", "lockbox", "resource-manager", "vpc")
SPECIAL = (
    "iam.serviceAccounts.accessKeyAdmin",
    "iam.serviceAccounts.admin",
    "iam.serviceAccounts.apiKeyAdmin",
    "iam.serviceAccounts.authorizedKeyAdmin",
    "iam.serviceAccounts.keyAdmin",
    "iam.serviceAccounts.tokenCreator",
    "iam.serviceAccounts.user",
    "compute.images.user",
    "compute.operator",
    "compute.osAdminLogin",
    "compute.osLogin",
    "compute.snapshotSchedules.editor",
    "compute.snapshotSchedules.viewer",
    "load-balancer.privateAdmin",
    "lockbox.payloadViewer",
    "resource-manager.clouds.member",
    "resource-manager.clouds.owner",
    "vpc.bridgeAdmin",
    "vpc.gateways.editor",
    "vpc.gateways.user",
    "vpc.gateways.viewer",
    "vpc.privateAdmin",
    "vpc.publicAdmin",
    "vpc.securityGroups.admin",
    "vpc.securityGroups.user",
    "vpc.user",
)
ROLES = {
    role: Role(id=role, description=f"The role {role}, as the documentation of Yandex Cloud describes it")
    for role in sorted({*LEVELS, *(f"{prefix}.{level}" for prefix in PREFIXES for level in LEVELS), *SPECIAL} - UNKNOWN)
}
PEOPLE = "people"
LOGINS = NoteKey[list[str]]("people.logins")
"""The note on the people that lists who has an account; where there is none, everybody has."""


class ServiceAccountService(WithOperations[ServiceAccount], WithAccessBindings[ServiceAccount]):
    """The accounts of machines and of groups."""

    def Create(self, request: accounts_rpc.CreateServiceAccountRequest, caller: Caller) -> Operation:
        self.resources.admit(request.folder_id, request.name)
        account = ServiceAccount(id=self.resources.new_id(), status=ServiceAccount.ACTIVE)
        fill(account, request)
        stamp(account)
        metadata = accounts_rpc.CreateServiceAccountMetadata(service_account_id=account.id)
        return self.stored(caller, "Create service account", metadata, account)

    def Update(self, request: accounts_rpc.UpdateServiceAccountRequest, caller: Caller) -> Operation:
        account = self.find(request)
        update(account, request, self.id_field)
        self.resources.claim_name(account.folder_id, account.name, account.id)
        metadata = accounts_rpc.UpdateServiceAccountMetadata(service_account_id=account.id)
        return self.stored(caller, "Update service account", metadata, account)

    def Delete(self, request: accounts_rpc.DeleteServiceAccountRequest, caller: Caller) -> Operation:
        account = self.find(request)
        check_unused(self.store, account.id)
        self.resources.delete(account.id)
        metadata = accounts_rpc.DeleteServiceAccountMetadata(service_account_id=account.id)
        return self.operations.deleted(caller, "Delete service account", metadata)


class IamTokenService:
    """The service gives a token to a caller who has a key of an account, or the operator's OAuth token."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens

    def Create(self, request: tokens_rpc.CreateIamTokenRequest, _: Caller) -> tokens_rpc.CreateIamTokenResponse:
        key = self._key(request.jwt) if request.WhichOneof("identity") == "jwt" else None
        if key:
            subject = key.service_account_id
        elif hmac.compare_digest(request.yandex_passport_oauth_token.encode(), self._tokens.oauth.encode()):
            subject = OPERATOR
        else:
            raise Refused(Code.UNAUTHENTICATED, "the OAuth token is not one of this cloud's operator")
        token = self._tokens.issue(subject, key=key.id if key else "")
        response = tokens_rpc.CreateIamTokenResponse(iam_token=token.text)
        response.expires_at.seconds = token.expires_at
        return response

    def _key(self, text: str) -> Key:
        """Return the key that signed the JWT. Clients differ in the host of the audience, not in its path."""
        try:
            key = self._store.get(Key, str(jwt.get_unverified_header(text).get("kid", "")))
            if key is None:
                raise Refused(Code.UNAUTHENTICATED, "the JWT's key is not known")
            claims = jwt.decode(text, key.public_key, algorithms=["PS256"], options=CLAIMS, leeway=LEEWAY)
        except jwt.InvalidTokenError as error:
            raise Refused(Code.UNAUTHENTICATED, f"the JWT is not valid: {error}") from error
        if claims["exp"] - claims["iat"] > JWT_LIFETIME:
            raise Refused(Code.UNAUTHENTICATED, "the JWT is not valid: from iat to exp there is an hour at the most")
        audience = claims.get("aud", "")  # one, or as Go's library writes it, a list
        named = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != key.service_account_id or not any(str(n).endswith(AUDIENCE_PATH) for n in named):
            raise Refused(Code.UNAUTHENTICATED, "the JWT's issuer or audience is not right")
        return key


class RoleService:
    """Roles are the same in every cloud."""

    def Get(self, request: roles_rpc.GetRoleRequest, _: Caller) -> Role:
        role = ROLES.get(request.role_id)
        if role is None:
            raise not_found("Role", request.role_id)
        return role

    def List(self, request: roles_rpc.ListRolesRequest, _: Caller) -> Message:
        return page(request, ROLES.values())


def choose_logins(store: Store, logins: Iterable[str]) -> None:
    """Make these the people of this home until others are chosen."""
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

    def Get(self, request: user_accounts_rpc.GetUserAccountRequest, _: Caller) -> UserAccount:
        return require(self._store, UserAccount, request.user_account_id)


SERVICES = (
    Service(
        accounts_rpc,
        "iam",
        lambda context: ServiceAccountService(ServiceAccounts(context.store), context.operations),
        ServiceAccounts,
    ),
    Service(tokens_rpc, "iam", lambda context: IamTokenService(context.store, context.tokens), public=True),
    Service(roles_rpc, "iam", lambda _: RoleService()),
    Service(user_accounts_rpc, "iam", lambda context: UserAccountService(context.store)),
    Service(passport_rpc, "iam", lambda context: YandexPassportUserAccountService(context.store)),
)
