"""The RPCs of yandex.cloud.lockbox. What a version holds is read through PayloadService alone."""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.message import Message
from yandex.cloud.lockbox.v1 import payload_service_pb2 as payloads
from yandex.cloud.lockbox.v1 import secret_service_pb2 as rpc
from yandex.cloud.lockbox.v1.payload_pb2 import Payload
from yandex.cloud.lockbox.v1.secret_pb2 import Secret, Version
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud import clock
from samovar.localcloud.api.errors import denied, invalid, not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.api.tokens import OPERATOR
from samovar.localcloud.iam.authorization import AccessBindings
from samovar.localcloud.lockbox.model import Secrets, payload_of, refreshed, version_of
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.registry import Service
from samovar.localcloud.resources.model import check_status, fill, stamp, update
from samovar.localcloud.resources.rpc import WithAccessBindings, WithOperations, page
from samovar.localcloud.store.store import Store

READERS = frozenset({"lockbox.payloadViewer", "lockbox.admin", "admin", "editor"})
GRACE = timedelta(days=7)
"""The time until a version is destroyed, unless the request has another; until then that can be cancelled."""


class SecretService(WithOperations[Secret], WithAccessBindings[Secret]):
    """Secrets are made, changed by new versions, deactivated and deleted."""

    answers_with_deltas = False

    def __init__(self, secrets: Secrets, operations: Operations) -> None:
        super().__init__(secrets, operations)
        self._secrets = secrets

    def Create(self, request: rpc.CreateSecretRequest, caller: Caller) -> Operation:
        self.resources.admit(request.folder_id, request.name)
        secret = Secret(id=self.resources.new_id(), status=Secret.ACTIVE)
        fill(secret, request)
        stamp(secret)
        if _has_version(request):
            self._secrets.add_version(secret, request.version_description, Payload(), request.version_payload_entries)
        metadata = rpc.CreateSecretMetadata(secret_id=secret.id, version_id=secret.current_version.id)
        return self.stored(caller, "Create secret", metadata, secret)

    def Update(self, request: rpc.UpdateSecretRequest, caller: Caller) -> Operation:
        secret = self.find(request)
        update(secret, request, self.id_field)
        self.resources.claim_name(secret.folder_id, secret.name, secret.id)
        metadata = rpc.UpdateSecretMetadata(secret_id=secret.id)
        return self.stored(caller, "Update secret", metadata, secret)

    def Delete(self, request: rpc.DeleteSecretRequest, caller: Caller) -> Operation:
        secret = self.find(request)
        if secret.deletion_protection:
            raise precondition(f"Secret {secret.id} is protected from deletion")
        self.resources.delete(secret.id)
        return self.operations.deleted(caller, "Delete secret", rpc.DeleteSecretMetadata(secret_id=secret.id))

    def Activate(self, request: rpc.ActivateSecretRequest, caller: Caller) -> Operation:
        secret = self._move(self.find(request), Secret.ACTIVE)
        metadata = rpc.ActivateSecretMetadata(secret_id=secret.id)
        return self.operations.done(caller, "Activate secret", metadata, secret)

    def Deactivate(self, request: rpc.DeactivateSecretRequest, caller: Caller) -> Operation:
        secret = self._move(self.find(request), Secret.INACTIVE)
        metadata = rpc.DeactivateSecretMetadata(secret_id=secret.id)
        return self.operations.done(caller, "Deactivate secret", metadata, secret)

    def ListVersions(self, request: rpc.ListVersionsRequest, _: Caller) -> Message:
        return page(request, self._secrets.versions(self.find(request).id))

    def AddVersion(self, request: rpc.AddVersionRequest, caller: Caller) -> Operation:
        secret = self.find_with_status(request, Secret.ACTIVE)
        base = Payload()
        if request.base_version_id or secret.HasField("current_version"):
            base = payload_of(self.store, version_of(self.store, secret, request.base_version_id))
        version = self._secrets.add_version(secret, request.description, base, request.payload_entries)
        self.resources.put(secret)
        metadata = rpc.AddVersionMetadata(secret_id=secret.id, version_id=version.id)
        return self.operations.done(caller, "Add version", metadata, version)

    def ScheduleVersionDestruction(self, request: rpc.ScheduleVersionDestructionRequest, caller: Caller) -> Operation:
        secret = self.find(request)
        version = version_of(self.store, secret, request.version_id)
        check_status(version, Version.ACTIVE)
        after = request.pending_period.ToTimedelta() if request.HasField("pending_period") else GRACE
        version.status = Version.SCHEDULED_FOR_DESTRUCTION
        version.destroy_at.FromDatetime(clock.utc_now() + after)
        self.store.put(version, scope=secret.id)
        self._secrets.choose_current(secret)
        metadata = rpc.ScheduleVersionDestructionMetadata(
            secret_id=secret.id, version_id=version.id, destroy_at=version.destroy_at
        )
        return self.operations.done(caller, "Schedule version destruction", metadata, refreshed(self.store, version))

    def CancelVersionDestruction(self, request: rpc.CancelVersionDestructionRequest, caller: Caller) -> Operation:
        secret = self.find(request)
        version = version_of(self.store, secret, request.version_id)
        check_status(version, Version.SCHEDULED_FOR_DESTRUCTION)
        version.status = Version.ACTIVE
        version.ClearField("destroy_at")
        self.store.put(version, scope=secret.id)
        self._secrets.choose_current(secret)
        metadata = rpc.CancelVersionDestructionMetadata(secret_id=secret.id, version_id=version.id)
        return self.operations.done(caller, "Cancel version destruction", metadata, version)

    def _move(self, secret: Secret, status: Secret.Status.ValueType) -> Secret:
        secret.status = status
        self.resources.put(secret)
        return secret


def _has_version(request: rpc.CreateSecretRequest) -> bool:
    has_password = request.HasField("password_payload_specification")
    if has_password and request.version_payload_entries:
        raise invalid("entries and a generated password exclude each other", "version_payload_entries")
    given = has_password or bool(request.version_payload_entries)
    requested = request.create_version.value if request.HasField("create_version") else given
    if requested and not given:
        raise invalid("a version is made of entries or of a generated password", "version_payload_entries")
    return requested


class PayloadService:
    """Payloads are read by those alone who have a role on the secret itself, on its folder or on its cloud."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._access = AccessBindings(store)

    def Get(self, request: payloads.GetPayloadRequest, caller: Caller) -> Payload:
        return self._read(self._store.get(Secret, request.secret_id), request.secret_id, request.version_id, caller)

    def GetEx(self, request: payloads.GetExRequest, caller: Caller) -> payloads.GetExResponse:
        secret, named = self._store.get(Secret, request.secret_id), request.secret_id
        if request.WhichOneof("identifier") == "folder_and_name":
            named = request.folder_and_name.secret_name
            secrets = self._store.all(Secret, scope=request.folder_and_name.folder_id, name=named)
            secret = secrets[0] if secrets else None
        payload = self._read(secret, named, request.version_id, caller)
        response = payloads.GetExResponse(secret_id=secret.id if secret else "", version_id=payload.version_id)
        for entry in payload.entries:
            response.entries[entry.key] = entry.binary_value or entry.text_value.encode()
        return response

    def _read(self, secret: Secret | None, named: str, version_id: str, caller: Caller) -> Payload:
        if secret is None:
            raise not_found("Secret", named)
        self._check(secret, caller)
        check_status(secret, Secret.ACTIVE)
        if not version_id and not secret.HasField("current_version"):
            return Payload()  # the provider of Terraform reads it before it adds the first version
        return payload_of(self._store, version_of(self._store, secret, version_id))

    def _check(self, secret: Secret, caller: Caller) -> None:
        held = self._access.roles_over(caller, secret.id, secret.folder_id)
        if caller.subject != OPERATOR and not READERS & held:
            raise denied(f"Permission denied to lockbox.secret {secret.id}: {caller.subject} may not read its payload")


SERVICES = (
    Service(rpc, "lockbox", lambda context: SecretService(Secrets(context.store), context.operations), Secrets),
    Service(
        payloads,
        "lockbox-payload",
        lambda context: PayloadService(context.store),
        role_prefix="lockbox",
        authorizes_itself=True,
    ),
)
