"""The RPCs of yandex.cloud.iam: service accounts, and tokens for a key's JWT."""

from __future__ import annotations

import hmac

import jwt
from google.rpc.code_pb2 import Code
from jwt.types import Options
from yandex.cloud.iam.v1 import iam_token_service_pb2 as tokens_rpc
from yandex.cloud.iam.v1 import service_account_service_pb2 as accounts_rpc
from yandex.cloud.iam.v1.key_pb2 import Key
from yandex.cloud.iam.v1.service_account_pb2 import ServiceAccount
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import Refused
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.api.tokens import OPERATOR, Tokens
from samovar.localcloud.iam.model import ServiceAccounts
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import fill, stamp, update
from samovar.localcloud.resources.rpc import WithAccessBindings, WithOperations
from samovar.localcloud.store.store import Store

AUDIENCE_PATH = "/iam/v1/tokens"
JWT_LIFETIME = 3600
"""Seconds from its `iat` to its `exp`, at the most, as Yandex Cloud documents it."""
LEEWAY = 60
CLAIMS: Options = {"verify_aud": False, "require": ["exp", "iat"]}


class ServiceAccountService(WithOperations[ServiceAccount], WithAccessBindings[ServiceAccount]):
    """The accounts of machines and of groups."""

    def Create(self, request: accounts_rpc.CreateServiceAccountRequest, caller: Caller) -> Operation:
        self.resources.admit(request.folder_id, request.name)
        account = ServiceAccount(id=self.resources.new_id(), status=ServiceAccount.ACTIVE)
        fill(account, request)
        stamp(account)
        self.resources.put(account)
        metadata = accounts_rpc.CreateServiceAccountMetadata(service_account_id=account.id)
        return self.operations.done(caller, "Create service account", metadata, account)

    def Update(self, request: accounts_rpc.UpdateServiceAccountRequest, caller: Caller) -> Operation:
        account = self.find(request)
        update(account, request, self.id_field)
        self.resources.claim_name(account.folder_id, account.name, account.id)
        self.resources.put(account)
        metadata = accounts_rpc.UpdateServiceAccountMetadata(service_account_id=account.id)
        return self.operations.done(caller, "Update service account", metadata, account)

    def Delete(self, request: accounts_rpc.DeleteServiceAccountRequest, caller: Caller) -> Operation:
        account = self.find(request)
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
        """Returns the key that signed the JWT. Clients differ in the host of the audience, not in its path."""
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


SERVICES = (
    Service(
        accounts_rpc,
        "iam",
        lambda context: ServiceAccountService(ServiceAccounts(context.store), context.operations),
        ServiceAccounts,
    ),
    Service(tokens_rpc, "iam", lambda context: IamTokenService(context.store, context.tokens), public=True),
)
