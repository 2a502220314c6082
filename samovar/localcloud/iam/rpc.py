"""yandex.cloud.iam: service accounts, their keys, and tokens for a key's JWT."""

from __future__ import annotations

import hmac

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.rpc.code_pb2 import Code
from jwt.types import Options
from yandex.cloud.iam.v1 import iam_token_service_pb2 as tokens_rpc
from yandex.cloud.iam.v1 import key_service_pb2 as keys_rpc
from yandex.cloud.iam.v1 import service_account_service_pb2 as accounts_rpc
from yandex.cloud.iam.v1.key_pb2 import Key
from yandex.cloud.iam.v1.service_account_pb2 import ServiceAccount
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import Refused, unimplemented
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.api.tokens import OPERATOR, Tokens
from samovar.localcloud.iam.model import account_in_folder, check_no_more
from samovar.localcloud.resources.model import ResourceService, fill, page, stamp, update
from samovar.localcloud.resources.rpc import BoundService
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store

AUDIENCE_PATH = "/iam/v1/tokens"
KEY_BITS = 2048
JWT_LIFETIME = 3600
"""Seconds from its `iat` to its `exp`, at the most, as Yandex Cloud documents it."""
LEEWAY = 60
CLAIMS: Options = {"verify_aud": False, "require": ["exp", "iat"]}


class ServiceAccountService(BoundService[ServiceAccount]):
    """Accounts of machines and of groups."""

    kind, noun, id_field = ServiceAccount, "ServiceAccount", "service_account_id"

    def by_id(self, resource_id: str) -> ServiceAccount:
        """The operator's own account lies in no folder, and is none of the API's."""
        return account_in_folder(self.store, resource_id)

    def List(
        self, request: accounts_rpc.ListServiceAccountsRequest, _: Caller
    ) -> accounts_rpc.ListServiceAccountsResponse:
        found = self.store.all(ServiceAccount, scope=request.folder_id)
        return page(request, accounts_rpc.ListServiceAccountsResponse(), "service_accounts", found)

    def Create(self, request: accounts_rpc.CreateServiceAccountRequest, caller: Caller) -> Operation:
        self.admit(request.folder_id, request.name)
        account = ServiceAccount(id=new_id("service-account"), status=ServiceAccount.ACTIVE)
        fill(account, request)
        stamp(account)
        self.store.put(account)
        metadata = accounts_rpc.CreateServiceAccountMetadata(service_account_id=account.id)
        return self.operations.done(caller, "Create service account", metadata, account)

    def Update(self, request: accounts_rpc.UpdateServiceAccountRequest, caller: Caller) -> Operation:
        account = self.find(request)
        update(account, request, self.id_field)
        self.claim_name(account.folder_id, account.name, account.id)
        self.store.put(account)
        metadata = accounts_rpc.UpdateServiceAccountMetadata(service_account_id=account.id)
        return self.operations.done(caller, "Update service account", metadata, account)

    def Delete(self, request: accounts_rpc.DeleteServiceAccountRequest, caller: Caller) -> Operation:
        account = self.find(request)
        for key in self.store.all(Key, scope=account.id):
            self.store.delete(Key, key.id)
        self.store.delete(ServiceAccount, account.id)
        metadata = accounts_rpc.DeleteServiceAccountMetadata(service_account_id=account.id)
        return self.operations.gone(caller, "Delete service account", metadata)

    def ListOperations(
        self, request: accounts_rpc.ListServiceAccountOperationsRequest, _: Caller
    ) -> accounts_rpc.ListServiceAccountOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, accounts_rpc.ListServiceAccountOperationsResponse(), "operations", found)


class KeyService(ResourceService[Key]):
    """Authorized keys; the private half is given out once and not kept."""

    kind, noun, id_field = Key, "Key", "key_id"

    def List(self, request: keys_rpc.ListKeysRequest, _: Caller) -> keys_rpc.ListKeysResponse:
        account_in_folder(self.store, request.service_account_id)
        found = self.store.all(Key, scope=request.service_account_id)
        return page(request, keys_rpc.ListKeysResponse(), "keys", found)

    def by_id(self, resource_id: str) -> Key:
        key = super().by_id(resource_id)
        account_in_folder(self.store, key.service_account_id)
        return key

    def Create(self, request: keys_rpc.CreateKeyRequest, caller: Caller) -> keys_rpc.CreateKeyResponse:
        """Who has a key of an account is that account: so it may do no more than who asks for the key."""
        account_in_folder(self.store, request.service_account_id)
        check_no_more(self.store, caller, request.service_account_id)
        return self.make(request)

    def make(self, request: keys_rpc.CreateKeyRequest) -> keys_rpc.CreateKeyResponse:
        """A new key, whosever the account is."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        key = Key(
            id=new_id("key"),
            service_account_id=request.service_account_id,
            description=request.description,
            key_algorithm=Key.RSA_2048,
            public_key=private.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode(),
        )
        stamp(key)
        self.store.put(key, scope=key.service_account_id)
        text = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        return keys_rpc.CreateKeyResponse(key=key, private_key=text)

    def Delete(self, request: keys_rpc.DeleteKeyRequest, caller: Caller) -> Operation:
        key = self.find(request)
        self.store.delete(Key, key.id)
        return self.operations.gone(caller, "Delete key", keys_rpc.DeleteKeyMetadata(key_id=key.id))


class IamTokenService:
    """Tokens for those who prove who they are."""

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

    def CreateForServiceAccount(self, *_: object) -> tokens_rpc.CreateIamTokenResponse:
        raise unimplemented("yandex.cloud.iam.v1.IamTokenService.CreateForServiceAccount")

    def _key(self, text: str) -> Key:
        """The key that signed the JWT. Clients differ in the host of the audience, not in its path."""
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
