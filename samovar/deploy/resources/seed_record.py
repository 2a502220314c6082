"""Seed records: from each the machines of a group learn, by Lockbox, whether their data disk got its rows.

A record is a secret that hides nothing. It has one id as long as the data lives, so that the metadata of machines do
not change when the answer does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.lockbox.v1 import secret_service_pb2 as rpc
from yandex.cloud.lockbox.v1.secret_pb2 import Secret
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.labels import DATA_FORMAT, DISK, GROUP, RECORD, is_of
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.core.errors import CloudError
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started
from samovar.deploy.resources.resource import Existing, Kind, Protectable, Ref, Resource
from samovar.deploy.resources.secret import (
    SecretWithReaders,
    create_secret,
    list_messages,
    list_secrets,
    protect_secret,
    set_readers,
)
from samovar.images.publish import published

SEEDED = "seeded"
YES, NO = "yes", "no"


@dataclass(frozen=True)
class SeedRecord(Protectable):
    """A record of whether a data disk got its rows. Once it says so, an empty disk in its place is a loss.

    `disk` is the disk of the record. Another disk in its place means that the first one is lost, whatever was on it.
    `seeded` becomes true once the group was healthy with its disk, and stays true while the data exist.
    `data_format` is that of the image that the group had then; "" where it is not known.
    """

    KIND = Kind.SEED_RECORD
    CREATE_ONLY = frozenset({"seeded", "data_format"})
    KEPT_ON_DESTROY = True
    IRREPLACEABLE = True

    readers: tuple[str, ...]
    disk: str
    seeded: bool = False
    data_format: str = ""

    def refs(self) -> Iterator[Ref]:
        yield from (Ref(Kind.SERVICE_ACCOUNT, name) for name in self.readers)
        if self.disk:
            yield Ref(Kind.DISK, self.disk)


class SeedRecordHandler(Handler[SeedRecord, SecretWithReaders]):
    """Creates seed records. The answer stands in the version's description as well: the tool reads no payload."""

    KIND = Kind.SEED_RECORD
    NAMESPACE = Kind.SECRET

    def list(self, session: Session) -> list[SecretWithReaders]:
        return list_secrets(session, lambda labels: RECORD in labels)

    def read(self, record: SecretWithReaders, index: IdIndex) -> SeedRecord:
        return SeedRecord(
            readers=tuple(sorted(map(index.name_of, record.readers))),
            disk=index.name_of(record.labels[DISK]) if DISK in record.labels else "",
            seeded=not is_unseeded(record.message),
            data_format=record.labels.get(DATA_FORMAT, ""),
            deletion_protection=record.message.deletion_protection,
        )

    def create(self, context: Context, resource: Resource[SeedRecord]) -> Started:
        request = rpc.CreateSecretRequest(
            folder_id=context.session.folder_id,
            name=resource.name,
            description="whether the data disk of this group got its rows",
            labels=_labels(context, resource),
            deletion_protection=resource.spec.deletion_protection,
            version_description=NO,
            version_payload_entries=[_payload(NO)],
        )
        return create_secret(context, resource, request, resource.spec.readers)

    def update(
        self, context: Context, existing: Existing[SeedRecord], desired: Resource[SeedRecord], fields: tuple[str, ...]
    ) -> Started:
        if "deletion_protection" in fields:
            protect_secret(context, existing, on=desired.spec.deletion_protection)
        if "disk" in fields:
            _change_disk(context, existing, desired)
        return Started(existing.id, set_readers(context, existing.id, desired.spec.readers))

    def delete(self, session: Session, existing: Existing[SeedRecord]) -> Operation:
        return session.client(SecretServiceStub).Delete(rpc.DeleteSecretRequest(secret_id=existing.id))


def seed_record_name(environment: str, group: str) -> str:
    """Return the name of the record of a group's data disk."""
    return f"{environment}-{group}-seeded"


def record_healthy(session: Session, environment: str, healthy: Mapping[str, str]) -> tuple[str, ...]:
    """Record the rows of each healthy group, and the format that its image gives them. `healthy` are images by group.

    Returns what is not recorded, and why: that is never an error.
    """
    try:
        records = _incomplete_records(session, environment)
        formats = {image.name: image.data_format for image in published(session)} if records else {}
    except CloudError as error:
        return (f"it is unknown whether the rows on the data disks are recorded: {error.message}",)
    by_group = {group: formats.get(image, "") for group, image in healthy.items()}
    warnings = run_concurrently(*(partial(_record, session, secret, by_group) for secret in records))
    return tuple(warning for warning in warnings if warning)


def _incomplete_records(session: Session, environment: str) -> list[Secret]:
    ours = (
        secret for secret in list_messages(session) if RECORD in secret.labels and is_of(secret.labels, environment)
    )
    return [secret for secret in ours if is_unseeded(secret) or DATA_FORMAT not in secret.labels]


def _record(session: Session, secret: Secret, healthy: Mapping[str, str]) -> str:
    """Record the rows of one group. `healthy` are formats by group. Returns why they are not recorded, or ""."""
    group, unseeded = secret.labels.get(GROUP, ""), is_unseeded(secret)
    what = "that its data disk has rows" if unseeded else "in which format the rows on its data disk are"
    problem = f"{group}: it is not recorded yet {what} ({secret.name})"
    if group not in healthy:
        return f"{problem}; `status` and `rollout` record it once the group is healthy" if unseeded else ""
    try:
        if healthy[group]:
            _change_labels(session, secret.id, secret.name, {**secret.labels, DATA_FORMAT: healthy[group]})
        if unseeded:
            record_seeded(session, secret.id, secret.name)
    except CloudError as error:
        return f"{problem}: {error.message}; let an operator with the role lockbox.editor run `status`"
    return ""


def is_unseeded(secret: Secret) -> bool:
    """Return whether the record says that the disk has no rows yet."""
    return secret.current_version.description != YES


def record_seeded(session: Session, secret_id: str, name: str) -> None:
    """Record for good that the disk has rows."""
    request = rpc.AddVersionRequest(secret_id=secret_id, description=YES, payload_entries=[_payload(YES)])
    session.finish(session.client(SecretServiceStub).AddVersion(request), what=f"{name}: {YES}")


def _labels(context: Context, resource: Resource[SeedRecord]) -> dict[str, str]:
    return {**context.labels(resource), RECORD: SEEDED, DISK: context.id(Kind.DISK, resource.spec.disk)}


def _change_disk(context: Context, existing: Existing[SeedRecord], desired: Resource[SeedRecord]) -> None:
    """Another disk has taken the place of the recorded one, which may have had rows: so the record says `yes`.

    What format its rows have is not known until the group is healthy with it.
    """
    if existing.spec.disk and not existing.spec.seeded:
        record_seeded(context.session, existing.id, existing.name)
    _change_labels(context.session, existing.id, existing.name, _labels(context, desired))


def _change_labels(session: Session, secret_id: str, name: str, labels: Mapping[str, str]) -> None:
    mask = FieldMask(paths=["labels"])
    request = rpc.UpdateSecretRequest(secret_id=secret_id, update_mask=mask, labels=labels)
    session.finish(session.client(SecretServiceStub).Update(request), what=f"update secret {name}")


def _payload(answer: str) -> rpc.PayloadEntryChange:
    return rpc.PayloadEntryChange(key=SEEDED, text_value=answer)
