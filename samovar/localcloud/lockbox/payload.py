"""yandex.cloud.lockbox: what a secret holds, for those alone who may read it."""

from __future__ import annotations

from yandex.cloud.lockbox.v1 import payload_service_pb2 as rpc
from yandex.cloud.lockbox.v1.payload_pb2 import Payload
from yandex.cloud.lockbox.v1.secret_pb2 import Secret
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder

from samovar.localcloud.api.errors import denied, not_found
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.api.tokens import OPERATOR
from samovar.localcloud.iam.authorization import Access
from samovar.localcloud.lockbox.rpc import active, payload_of, version_of
from samovar.localcloud.store.store import Store

READERS = frozenset({"lockbox.payloadViewer", "lockbox.admin", "admin", "editor"})


class PayloadService:
    """A role counts on the secret itself, on its folder and on its cloud."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._access = Access(store)

    def Get(self, request: rpc.GetPayloadRequest, caller: Caller) -> Payload:
        return self._read(self._store.get(Secret, request.secret_id), request.secret_id, request.version_id, caller)

    def GetEx(self, request: rpc.GetExRequest, caller: Caller) -> rpc.GetExResponse:
        secret, named = self._store.get(Secret, request.secret_id), request.secret_id
        if request.WhichOneof("identifier") == "folder_and_name":
            named = request.folder_and_name.secret_name
            found = self._store.all(Secret, scope=request.folder_and_name.folder_id, name=named)
            secret = found[0] if found else None
        payload = self._read(secret, named, request.version_id, caller)
        response = rpc.GetExResponse(secret_id=secret.id if secret else "", version_id=payload.version_id)
        for entry in payload.entries:
            response.entries[entry.key] = entry.binary_value or entry.text_value.encode()
        return response

    def _read(self, secret: Secret | None, named: str, version_id: str, caller: Caller) -> Payload:
        if secret is None:
            raise not_found("Secret", named)
        self._check(secret, caller)
        return payload_of(self._store, version_of(self._store, active(secret), version_id))

    def _check(self, secret: Secret, caller: Caller) -> None:
        folder = self._store.get(Folder, secret.folder_id)
        places = [secret.id, secret.folder_id, folder.cloud_id if folder else ""]
        if caller.subject != OPERATOR and not READERS & self._access.roles(caller, places):
            raise denied(f"Permission denied to lockbox.secret {secret.id}: {caller.subject} may not read its payload")
