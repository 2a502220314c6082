"""Secrets and their versions. A version never changes: a new payload is a new version.

A payload stands in the store beside its version, in a file that root alone can read, and nowhere else: not in
operations, not in the log.
"""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Iterable
from random import SystemRandom

from google.protobuf.wrappers_pb2 import BoolValue
from yandex.cloud.lockbox.v1 import secret_service_pb2 as rpc
from yandex.cloud.lockbox.v1.payload_pb2 import Payload
from yandex.cloud.lockbox.v1.secret_pb2 import PasswordPayloadSpecification, Secret, Version

from samovar.localcloud import clock
from samovar.localcloud.api.errors import invalid, not_found
from samovar.localcloud.resources.model import Repository, check_status, copy_field
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import NoteKey, Store

PAYLOAD = NoteKey[str]("lockbox.payload")
MAX_SIZE, MAX_ENTRIES = 65536, 32
ID_PREFIX = "e6q"
DEFAULT_LENGTH = 36


class Secrets(Repository[Secret]):
    """The secrets with all their versions."""

    kind, id_prefix = Secret, ID_PREFIX
    has_unique_names = False

    def delete(self, resource_id: str) -> None:
        """Delete a secret with its versions."""
        for version in self.store.all(Version, scope=resource_id):
            self.store.delete(Version, version.id)
        super().delete(resource_id)

    def versions(self, secret_id: str) -> list[Version]:
        """Return the versions of a secret, the newest first."""
        versions = [refreshed(self.store, version) for version in self.store.all(Version, scope=secret_id)]
        return sorted(versions, key=lambda version: version.created_at.ToNanoseconds(), reverse=True)

    def _later_than_all(self, secret_id: str) -> int:
        """Return now in nanoseconds, or just after the newest version where the clock was set back since."""
        dates = (version.created_at.ToNanoseconds() for version in self.store.all(Version, scope=secret_id))
        return max(int(clock.now() * 1e9), max(dates, default=0) + 1)

    def choose_current(self, secret: Secret) -> None:
        """Make the newest version that is not to be destroyed the current one; there may be none."""
        active = [version for version in self.versions(secret.id) if version.status == Version.ACTIVE]
        secret.ClearField("current_version")
        if active:
            secret.current_version.CopyFrom(active[0])
        self.put(secret)

    def add_version(
        self, secret: Secret, description: str, base: Payload, changes: Iterable[rpc.PayloadEntryChange]
    ) -> Version:
        """Give the secret a new current version: the base with the changes, and where it asks so a new password."""
        payload = _changed(base, changes)
        version = Version(id=new_id(ID_PREFIX), secret_id=secret.id, description=description)
        version.status = Version.ACTIVE
        version.created_at.FromNanoseconds(self._later_than_all(secret.id))
        if secret.HasField("password_payload_specification"):
            specification = secret.password_payload_specification
            copy_field(secret, version, "password_payload_specification")
            entry = rpc.PayloadEntryChange(key=specification.password_key, text_value=generate_password(specification))
            payload = _changed(payload, [entry])
        _check_size(payload)
        payload.version_id = version.id
        version.payload_entry_keys.extend(entry.key for entry in payload.entries)
        self.store.put(version, scope=secret.id)
        self.store.note(version.id, PAYLOAD, base64.b64encode(payload.SerializeToString()).decode())
        secret.current_version.CopyFrom(version)
        return version


def version_of(store: Store, secret: Secret, version_id: str) -> Version:
    """Return one version of a secret, the current one where `version_id` is empty."""
    named = version_id or secret.current_version.id
    version = store.get(Version, named) if named else None
    if version is None or version.secret_id != secret.id:
        raise not_found(f"Version of the secret {secret.id}", named or "current")
    return refreshed(store, version)


def payload_of(store: Store, version: Version) -> Payload:
    """Return the payload of a version. Raises Refused for one that is to be destroyed."""
    check_status(version, Version.ACTIVE)
    return Payload.FromString(base64.b64decode(store.must_note(version.id, PAYLOAD)))


def refreshed(store: Store, version: Version) -> Version:
    """Return the version as it is now: one whose time has come is destroyed when it is next read."""
    overdue = version.destroy_at.ToNanoseconds() <= clock.now() * 1e9
    if version.status == Version.SCHEDULED_FOR_DESTRUCTION and overdue:
        version.status = Version.DESTROYED
        version.ClearField("destroy_at")
        store.put(version, scope=version.secret_id)
        store.forget(version.id, PAYLOAD)
    return version


def _changed(base: Payload, changes: Iterable[rpc.PayloadEntryChange]) -> Payload:
    """Return the base with the changes. One without a value, or with an empty one, takes its entry away.

    The provider of Terraform removes a key by an empty text (v0.129.0, resource_yandex_lockbox_secret_version.go).
    """
    entries = {entry.key: entry for entry in base.entries}
    for change in changes:
        entry = Payload.Entry(key=change.key)
        value = change.WhichOneof("value")
        if value and getattr(change, value):
            copy_field(change, entry, value)
            entries[change.key] = entry
        else:
            entries.pop(change.key, None)
    return Payload(entries=entries.values())


def _check_size(payload: Payload) -> None:
    size = sum(len(entry.text_value.encode()) + len(entry.binary_value) for entry in payload.entries)
    if size > MAX_SIZE or len(payload.entries) > MAX_ENTRIES:
        raise invalid(f"a version holds at most {MAX_ENTRIES} entries of {MAX_SIZE} bytes in all", "payload_entries")


def generate_password(specification: PasswordPayloadSpecification) -> str:
    """Return a new password. Raises Refused where the specification cannot be met."""
    classes = _classes(specification)
    length = specification.length or DEFAULT_LENGTH
    if not classes or length < len(classes):
        raise invalid(f"a password of {length} characters cannot hold {len(classes)} classes of them", "length")
    chosen = [secrets.choice(each) for each in classes]
    chosen += [secrets.choice("".join(classes)) for _ in range(length - len(chosen))]
    SystemRandom().shuffle(chosen)
    return "".join(chosen)


def _classes(specification: PasswordPayloadSpecification) -> list[str]:
    """Return the classes of characters: each that the specification does not exclude."""
    asked = (
        ("include_uppercase", string.ascii_uppercase),
        ("include_lowercase", string.ascii_lowercase),
        ("include_digits", string.digits),
        ("include_punctuation", _punctuation(specification)),
    )
    return [characters for field, characters in asked if _is_on(specification, field)]


def _is_on(specification: PasswordPayloadSpecification, field: str) -> bool:
    value: BoolValue = getattr(specification, field)
    return value.value if specification.HasField(field) else True  # type: ignore[arg-type]  # one of its fields


def _punctuation(specification: PasswordPayloadSpecification) -> str:
    included, excluded = specification.included_punctuation, specification.excluded_punctuation
    if included and excluded:
        raise invalid("included_punctuation and excluded_punctuation exclude each other", "included_punctuation")
    if set(included) - set(string.punctuation):
        raise invalid("included_punctuation has a character that is no punctuation", "included_punctuation")
    return included or "".join(character for character in string.punctuation if character not in excluded)
