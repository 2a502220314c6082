"""The RPCs of yandex.cloud.iam for API keys. No service of the local cloud takes one; clients make and keep them."""

from __future__ import annotations

import secrets

from yandex.cloud.iam.v1 import api_key_service_pb2 as rpc
from yandex.cloud.iam.v1.api_key_pb2 import ApiKey
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.iam.model import AccountKeys
from samovar.localcloud.iam.rpc import AccountKeyService
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import fill, stamp, update

FIRST_CHARACTERS = "AQVN"
SECRET_BYTES = 26
MASKED = 4
"""So many characters of a secret are shown at either end."""


class ApiKeys(AccountKeys[ApiKey]):
    """API keys."""

    kind = ApiKey


class ApiKeyService(AccountKeyService[ApiKey]):
    """The API keys of an account."""

    def Create(self, request: rpc.CreateApiKeyRequest, caller: Caller) -> rpc.CreateApiKeyResponse:
        self.check_account(request.service_account_id, caller)
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
        metadata = rpc.DeleteApiKeyMetadata(api_key_id=self.removed(request))
        return self.operations.deleted(caller, "Delete API key", metadata)


SERVICES = (Service(rpc, "iam", lambda context: ApiKeyService(ApiKeys(context.store), context.operations), ApiKeys),)
