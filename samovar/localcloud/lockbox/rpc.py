"""yandex.cloud.lockbox: secrets and their versions. What a version holds is read through PayloadService alone.

A payload stands in the store beside its version, in a file that root alone can read, and nowhere else: not in
operations, not in the log.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from datetime import timedelta

from yandex.cloud.lockbox.v1 import secret_service_pb2 as rpc
from yandex.cloud.lockbox.v1.payload_pb2 import Payload
from yandex.cloud.lockbox.v1.secret_pb2 import Secret, Version
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud import clock
from samovar.localcloud.api.errors import invalid, not_found, precondition
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.lockbox.passwords import generate
from samovar.localcloud.resources.model import copy_field, fill, page, stamp, update
from samovar.localcloud.resources.rpc import BoundService
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store

PAYLOAD = "lockbox.payload"
LARGEST, MOST_ENTRIES = 65536, 32
GRACE = timedelta(days=7)
"""How long a version that is to be destroyed can still be spared, unless the request says otherwise."""


class SecretService(BoundService[Secret]):
    """A version never changes: a new payload is a new version, and the latest is the current one."""

    kind, noun, id_field = Secret, "Secret", "secret_id"
    answers_with_deltas = False

    def List(self, request: rpc.ListSecretsRequest, _: Caller) -> rpc.ListSecretsResponse:
        found = self.store.all(Secret, scope=request.folder_id)
        return page(request, rpc.ListSecretsResponse(), "secrets", found)

    def Create(self, request: rpc.CreateSecretRequest, caller: Caller) -> Operation:
        self.admit(request.folder_id, request.name)
        secret = Secret(id=new_id("secret"), status=Secret.ACTIVE)
        fill(secret, request)
        stamp(secret)
        if _wants_version(request):
            self._add(secret, request.version_description, Payload(), request.version_payload_entries)
        self.store.put(secret)
        metadata = rpc.CreateSecretMetadata(secret_id=secret.id, version_id=secret.current_version.id)
        return self.operations.done(caller, "Create secret", metadata, secret)

    def Update(self, request: rpc.UpdateSecretRequest, caller: Caller) -> Operation:
        secret = self.find(request)
        update(secret, request, self.id_field)
        self.claim_name(secret.folder_id, secret.name, secret.id)
        self.store.put(secret)
        metadata = rpc.UpdateSecretMetadata(secret_id=secret.id)
        return self.operations.done(caller, "Update secret", metadata, secret)

    def Delete(self, request: rpc.DeleteSecretRequest, caller: Caller) -> Operation:
        secret = self.find(request)
        if secret.deletion_protection:
            raise precondition(f"Secret {secret.id} is protected from deletion")
        for version in self.store.all(Version, scope=secret.id):
            self.store.delete(Version, version.id)
        self.store.delete(Secret, secret.id)
        return self.operations.gone(caller, "Delete secret", rpc.DeleteSecretMetadata(secret_id=secret.id))

    def Activate(self, request: rpc.ActivateSecretRequest, caller: Caller) -> Operation:
        secret = self._move(self.find(request), Secret.ACTIVE)
        metadata = rpc.ActivateSecretMetadata(secret_id=secret.id)
        return self.operations.done(caller, "Activate secret", metadata, secret)

    def Deactivate(self, request: rpc.DeactivateSecretRequest, caller: Caller) -> Operation:
        secret = self._move(self.find(request), Secret.INACTIVE)
        metadata = rpc.DeactivateSecretMetadata(secret_id=secret.id)
        return self.operations.done(caller, "Deactivate secret", metadata, secret)

    def ListVersions(self, request: rpc.ListVersionsRequest, _: Caller) -> rpc.ListVersionsResponse:
        versions = [seen(self.store, version) for version in self.store.all(Version, scope=self.find(request).id)]
        newest_first = sorted(versions, key=lambda version: version.created_at.ToNanoseconds(), reverse=True)
        return page(request, rpc.ListVersionsResponse(), "versions", newest_first)

    def AddVersion(self, request: rpc.AddVersionRequest, caller: Caller) -> Operation:
        secret = active(self.find(request))
        base = Payload()
        if request.base_version_id or secret.HasField("current_version"):
            base = payload_of(self.store, version_of(self.store, secret, request.base_version_id))
        version = self._add(secret, request.description, base, request.payload_entries)
        self.store.put(secret)
        metadata = rpc.AddVersionMetadata(secret_id=secret.id, version_id=version.id)
        return self.operations.done(caller, "Add version", metadata, version)

    def ScheduleVersionDestruction(self, request: rpc.ScheduleVersionDestructionRequest, caller: Caller) -> Operation:
        secret = self.find(request)
        version = version_of(self.store, secret, request.version_id)
        if version.id == secret.current_version.id:
            raise precondition(f"Version {version.id} is the current one and cannot be destroyed")
        if version.status != Version.ACTIVE:
            raise precondition(f"Version {version.id} is {Version.Status.Name(version.status)}")
        after = request.pending_period.ToTimedelta() if request.HasField("pending_period") else GRACE
        version.status = Version.SCHEDULED_FOR_DESTRUCTION
        version.destroy_at.FromDatetime(clock.utc_now() + after)
        self.store.put(version, scope=secret.id)
        metadata = rpc.ScheduleVersionDestructionMetadata(
            secret_id=secret.id, version_id=version.id, destroy_at=version.destroy_at
        )
        return self.operations.done(caller, "Schedule version destruction", metadata, seen(self.store, version))

    def CancelVersionDestruction(self, request: rpc.CancelVersionDestructionRequest, caller: Caller) -> Operation:
        secret = self.find(request)
        version = version_of(self.store, secret, request.version_id)
        if version.status != Version.SCHEDULED_FOR_DESTRUCTION:
            raise precondition(f"Version {version.id} is {Version.Status.Name(version.status)}")
        version.status = Version.ACTIVE
        version.ClearField("destroy_at")
        self.store.put(version, scope=secret.id)
        metadata = rpc.CancelVersionDestructionMetadata(secret_id=secret.id, version_id=version.id)
        return self.operations.done(caller, "Cancel version destruction", metadata, version)

    def ListOperations(self, request: rpc.ListSecretOperationsRequest, _: Caller) -> rpc.ListSecretOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, rpc.ListSecretOperationsResponse(), "operations", found)

    def _move(self, secret: Secret, status: Secret.Status.ValueType) -> Secret:
        secret.status = status
        self.store.put(secret)
        return secret

    def _add(
        self, secret: Secret, description: str, base: Payload, changes: Iterable[rpc.PayloadEntryChange]
    ) -> Version:
        """A new current version: what the base holds, changed, and where the secret says so a new password."""
        payload = _changed(base, changes)
        version = Version(id=new_id("secret-version"), secret_id=secret.id, description=description)
        version.status = Version.ACTIVE
        clock.set_now(version.created_at)
        if secret.HasField("password_payload_specification"):
            specification = secret.password_payload_specification
            copy_field(secret, version, "password_payload_specification")
            entry = rpc.PayloadEntryChange(key=specification.password_key, text_value=generate(specification))
            payload = _changed(payload, [entry])
        _check_size(payload)
        payload.version_id = version.id
        version.payload_entry_keys.extend(entry.key for entry in payload.entries)
        self.store.put(version, scope=secret.id)
        self.store.note(version.id, PAYLOAD, base64.b64encode(payload.SerializeToString()).decode())
        secret.current_version.CopyFrom(version)
        return version


def active(secret: Secret) -> Secret:
    """The secret, or FAILED_PRECONDITION where it was deactivated."""
    if secret.status != Secret.ACTIVE:
        raise precondition(f"Secret {secret.id} is {Secret.Status.Name(secret.status)}")
    return secret


def version_of(store: Store, secret: Secret, version_id: str = "") -> Version:
    """One version of a secret, the current one unless another is named."""
    wanted = version_id or secret.current_version.id
    version = store.get(Version, wanted) if wanted else None
    if version is None or version.secret_id != secret.id:
        raise not_found(f"Version of the secret {secret.id}", wanted or "current")
    return seen(store, version)


def payload_of(store: Store, version: Version) -> Payload:
    """What a version holds; one that is to be destroyed gives nothing away any more."""
    if version.status != Version.ACTIVE:
        raise precondition(f"Version {version.id} is {Version.Status.Name(version.status)}")
    return Payload.FromString(base64.b64decode(store.noted(version.id, PAYLOAD)))


def seen(store: Store, version: Version) -> Version:
    """The version as it is now: one whose time has come is destroyed when it is next looked at."""
    overdue = version.destroy_at.ToNanoseconds() <= clock.now() * 1e9
    if version.status == Version.SCHEDULED_FOR_DESTRUCTION and overdue:
        version.status = Version.DESTROYED
        version.ClearField("destroy_at")
        store.put(version, scope=version.secret_id)
        store.forget(version.id, PAYLOAD)
    return version


def _wants_version(request: rpc.CreateSecretRequest) -> bool:
    has_password = request.HasField("password_payload_specification")
    if has_password and request.version_payload_entries:
        raise invalid("entries and a generated password exclude each other", "version_payload_entries")
    given = has_password or bool(request.version_payload_entries)
    wanted = request.create_version.value if request.HasField("create_version") else given
    if wanted and not given:
        raise invalid("a version is made of entries or of a generated password", "version_payload_entries")
    return wanted


def _changed(base: Payload, changes: Iterable[rpc.PayloadEntryChange]) -> Payload:
    """A change without a value takes its entry away."""
    entries = {entry.key: entry for entry in base.entries}
    for change in changes:
        entry = Payload.Entry(key=change.key)
        if value := change.WhichOneof("value"):
            copy_field(change, entry, value)
            entries[change.key] = entry
        else:
            entries.pop(change.key, None)
    return Payload(entries=entries.values())


def _check_size(payload: Payload) -> None:
    size = sum(len(entry.text_value.encode()) + len(entry.binary_value) for entry in payload.entries)
    if size > LARGEST or len(payload.entries) > MOST_ENTRIES:
        raise invalid(f"a version holds at most {MOST_ENTRIES} entries of {LARGEST} bytes in all", "payload_entries")
