"""The RPCs of yandex.cloud.iam for keys of service accounts: authorized keys, API keys and static access keys.

No service of the local cloud takes one of the latter two; clients make and keep them.
"""

from __future__ import annotations

import secrets
from typing import Protocol

from google.protobuf.message import Message
from yandex.cloud.iam.v1 import api_key_service_pb2 as api_rpc
from yandex.cloud.iam.v1 import key_service_pb2 as rpc
from yandex.cloud.iam.v1.api_key_pb2 import ApiKey
from yandex.cloud.iam.v1.awscompatibility import access_key_service_pb2 as access_rpc
from yandex.cloud.iam.v1.awscompatibility.access_key_pb2 import AccessKey
from yandex.cloud.iam.v1.key_pb2 import Key
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.iam.model import AccessKeys, AccountKeys, ApiKeys, Keys, KeyT, ServiceAccounts, check_no_more
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import fill, stamp, update
from samovar.localcloud.resources.rpc import ListRequest, WithOperations, page

API_PREFIX, API_BYTES = "AQVN", 26
MASKED = 4
"""So many characters of a secret are shown at either end."""
ACCESS_ID_PREFIX = "YCAJE"
ACCESS_PREFIX, ACCESS_BYTES = "YC", 28


class _ListKeysRequest(ListRequest, Protocol):
    service_account_id: str


class AccountKeyService(WithOperations[KeyT]):
    """The base of the services of keys.

    The holder of a key acts as its account, so the maker of a key must have all roles that the account has.
    """

    def __init__(self, keys: AccountKeys[KeyT], operations: Operations) -> None:
        super().__init__(keys, operations)
        self._of_account = keys.of_account

    def List(self, request: _ListKeysRequest, _: Caller) -> Message:
        return page(request, self._of_account(request.service_account_id))

    def check_account(self, account_id: str, caller: Caller) -> None:
        """Raise NOT_FOUND or PERMISSION_DENIED unless the caller may have a key of the account."""
        ServiceAccounts(self.store).by_id(account_id)
        check_no_more(self.store, caller, account_id)

    def removed(self, request: object) -> str:
        """Delete the key that a Delete names, and return its id."""
        key = self.find(request)
        self.resources.delete(key.id)
        return key.id


class KeyService(AccountKeyService[Key]):
    """The authorized keys of an account."""

    def __init__(self, keys: Keys, operations: Operations) -> None:
        super().__init__(keys, operations)
        self._keys = keys

    def Create(self, request: rpc.CreateKeyRequest, caller: Caller) -> rpc.CreateKeyResponse:
        self.check_account(request.service_account_id, caller)
        algorithm = request.key_algorithm or Key.RSA_2048
        key, private_key = self._keys.make(request.service_account_id, request.description, algorithm)
        return rpc.CreateKeyResponse(key=key, private_key=private_key)

    def Update(self, request: rpc.UpdateKeyRequest, caller: Caller) -> Operation:
        key = self.find(request)
        update(key, request, self.id_field)
        return self.stored(caller, "Update key", rpc.UpdateKeyMetadata(key_id=key.id), key)

    def Delete(self, request: rpc.DeleteKeyRequest, caller: Caller) -> Operation:
        metadata = rpc.DeleteKeyMetadata(key_id=self.removed(request))
        return self.operations.deleted(caller, "Delete key", metadata)


class ApiKeyService(AccountKeyService[ApiKey]):
    """The API keys of an account."""

    def Create(self, request: api_rpc.CreateApiKeyRequest, caller: Caller) -> api_rpc.CreateApiKeyResponse:
        self.check_account(request.service_account_id, caller)
        secret = API_PREFIX + secrets.token_urlsafe(API_BYTES)
        key = ApiKey(id=self.resources.new_id(), masked_secret=f"{secret[:MASKED]}***{secret[-MASKED:]}")
        fill(key, request)
        stamp(key)
        self.resources.put(key)
        return api_rpc.CreateApiKeyResponse(api_key=key, secret=secret)

    def Update(self, request: api_rpc.UpdateApiKeyRequest, caller: Caller) -> Operation:
        key = self.find(request)
        update(key, request, self.id_field)
        return self.stored(caller, "Update API key", api_rpc.UpdateApiKeyMetadata(api_key_id=key.id), key)

    def Delete(self, request: api_rpc.DeleteApiKeyRequest, caller: Caller) -> Operation:
        metadata = api_rpc.DeleteApiKeyMetadata(api_key_id=self.removed(request))
        return self.operations.deleted(caller, "Delete API key", metadata)


class AccessKeyService(AccountKeyService[AccessKey]):
    """The static access keys of an account."""

    def Create(self, request: access_rpc.CreateAccessKeyRequest, caller: Caller) -> access_rpc.CreateAccessKeyResponse:
        self.check_account(request.service_account_id, caller)
        key = AccessKey(id=self.resources.new_id(), key_id=ACCESS_ID_PREFIX + secrets.token_urlsafe(15))
        fill(key, request)
        stamp(key)
        self.resources.put(key)
        text = ACCESS_PREFIX + secrets.token_urlsafe(ACCESS_BYTES)
        return access_rpc.CreateAccessKeyResponse(access_key=key, secret=text)

    def Update(self, request: access_rpc.UpdateAccessKeyRequest, caller: Caller) -> Operation:
        key = self.find(request)
        update(key, request, self.id_field)
        metadata = access_rpc.UpdateAccessKeyMetadata(access_key_id=key.id)
        return self.stored(caller, "Update access key", metadata, key)

    def Delete(self, request: access_rpc.DeleteAccessKeyRequest, caller: Caller) -> Operation:
        metadata = access_rpc.DeleteAccessKeyMetadata(access_key_id=self.removed(request))
        return self.operations.deleted(caller, "Delete access key", metadata)


SERVICES = (
    Service(rpc, "iam", lambda context: KeyService(Keys(context.store), context.operations), Keys),
    Service(
        access_rpc, "iam", lambda context: AccessKeyService(AccessKeys(context.store), context.operations), AccessKeys
    ),
    Service(api_rpc, "iam", lambda context: ApiKeyService(ApiKeys(context.store), context.operations), ApiKeys),
)
