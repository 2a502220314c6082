"""The RPCs of yandex.cloud.iam for static access keys. No service of the local cloud takes one."""

from __future__ import annotations

import secrets

from yandex.cloud.iam.v1.awscompatibility import access_key_service_pb2 as rpc
from yandex.cloud.iam.v1.awscompatibility.access_key_pb2 import AccessKey
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.iam.model import AccountKeys
from samovar.localcloud.iam.rpc import AccountKeyService
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import fill, stamp, update

KEY_ID_START, FIRST_CHARACTERS = "YCAJE", "YC"
SECRET_BYTES = 28


class AccessKeys(AccountKeys[AccessKey]):
    """Static access keys."""

    kind = AccessKey


class AccessKeyService(AccountKeyService[AccessKey]):
    """The static access keys of an account."""

    def Create(self, request: rpc.CreateAccessKeyRequest, caller: Caller) -> rpc.CreateAccessKeyResponse:
        self.check_account(request.service_account_id, caller)
        key = AccessKey(id=self.resources.new_id(), key_id=KEY_ID_START + secrets.token_urlsafe(15))
        fill(key, request)
        stamp(key)
        self.resources.put(key)
        text = FIRST_CHARACTERS + secrets.token_urlsafe(SECRET_BYTES)
        return rpc.CreateAccessKeyResponse(access_key=key, secret=text)

    def Update(self, request: rpc.UpdateAccessKeyRequest, caller: Caller) -> Operation:
        key = self.find(request)
        update(key, request, self.id_field)
        self.resources.put(key)
        metadata = rpc.UpdateAccessKeyMetadata(access_key_id=key.id)
        return self.operations.done(caller, "Update access key", metadata, key)

    def Delete(self, request: rpc.DeleteAccessKeyRequest, caller: Caller) -> Operation:
        metadata = rpc.DeleteAccessKeyMetadata(access_key_id=self.removed(request))
        return self.operations.deleted(caller, "Delete access key", metadata)


SERVICES = (
    Service(rpc, "iam", lambda context: AccessKeyService(AccessKeys(context.store), context.operations), AccessKeys),
)
