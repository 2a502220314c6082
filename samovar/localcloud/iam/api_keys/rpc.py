"""The RPCs of yandex.cloud.iam for API keys. No service of the local cloud takes one; clients make and keep them."""

from __future__ import annotations

import secrets

from google.protobuf.message import Message
from yandex.cloud.iam.v1 import api_key_service_pb2 as rpc
from yandex.cloud.iam.v1.api_key_pb2 import ApiKey
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.iam.model import ServiceAccounts, check_no_more
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import Repository, fill, stamp, update
from samovar.localcloud.resources.rpc import WithOperations, page

FIRST_CHARACTERS = "AQVN"
SECRET_BYTES = 26
MASKED = 4
"""So many characters of a secret are shown at either end."""


class ApiKeys(Repository[ApiKey]):
    """The API keys without their secrets, which are given out once and not kept."""

    kind, id_prefix = ApiKey, "aje"

    def put(self, resource: ApiKey) -> None:
        self.store.put(resource, scope=resource.service_account_id)


class ApiKeyService(WithOperations[ApiKey]):
    """A caller gets no key of an account that may do more than he may."""

    def List(self, request: rpc.ListApiKeysRequest, _: Caller) -> Message:
        ServiceAccounts(self.store).by_id(request.service_account_id)
        return page(request, self.store.all(ApiKey, scope=request.service_account_id))

    def Create(self, request: rpc.CreateApiKeyRequest, caller: Caller) -> rpc.CreateApiKeyResponse:
        ServiceAccounts(self.store).by_id(request.service_account_id)
        check_no_more(self.store, caller, request.service_account_id)
        secret = FIRST_CHARACTERS + secrets.token_urlsafe(SECRET_BYTES)
        key = ApiKey(id=self.resources.new_id(), masked_secret=f"{secret[:MASKED]}***{secret[-MASKED:]}")
        fill(key, request)
        stamp(key)
        self.resources.put(key)
        return rpc.CreateApiKeyResponse(api_key=key, secret=secret)

    def Update(self, request: rpc.UpdateApiKeyRequest, caller: Caller) -> Operation:
        key = self.find(request)
        update(key, request, self.id_field)
        self.resources.put(key)
        return self.operations.done(caller, "Update API key", rpc.UpdateApiKeyMetadata(api_key_id=key.id), key)

    def Delete(self, request: rpc.DeleteApiKeyRequest, caller: Caller) -> Operation:
        key = self.find(request)
        self.resources.delete(key.id)
        return self.operations.deleted(caller, "Delete API key", rpc.DeleteApiKeyMetadata(api_key_id=key.id))


SERVICES = (Service(rpc, "iam", lambda context: ApiKeyService(ApiKeys(context.store), context.operations), ApiKeys),)
