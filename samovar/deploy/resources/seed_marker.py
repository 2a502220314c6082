"""Whether data disks got their rows, told to their machines by Lockbox: a secret that hides nothing.

It is known by one id as long as the data lives, so nothing that a machine is born with changes when the answer does.
"""

from __future__ import annotations

from typing import Any, cast

from google.protobuf.field_mask_pb2 import FieldMask
from yandex.cloud.lockbox.v1 import secret_service_pb2 as rpc
from yandex.cloud.lockbox.v1.secret_pb2 import Secret
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.labels import DISK, RECORD, is_of
from samovar.cloud.session import Session
from samovar.deploy.foundation_specs import DataRecord
from samovar.deploy.resources.handler import Begun, Fixed, Names, Work, begun
from samovar.deploy.resources.secret import Readable, let_read, protect, readable
from samovar.deploy.specs import Existing, Kind, Resource

SEEDED = "seeded"
YES, NO = "yes", "no"


class Records(Fixed):
    """The answer stands in the version's description as well: the tool reads no payload."""

    def list(self, session: Session) -> list[Any]:
        return readable(session, lambda labels: RECORD in labels)

    def read(self, record: Readable, names: Names) -> DataRecord:
        return DataRecord(
            readers=tuple(sorted(map(names.of, record.readers))),
            disk=names.of(record.labels[DISK]) if DISK in record.labels else "",
            seeded=not no(record.message),
            deletion_protection=record.message.deletion_protection,
        )

    def create(self, work: Work, resource: Resource) -> Begun:
        request = rpc.CreateSecretRequest(
            folder_id=work.session.folder_id,
            name=resource.name,
            description="whether the data disk of this group got its rows",
            labels=_labels(work, resource),
            deletion_protection=cast("DataRecord", resource.spec).deletion_protection,
            version_description=NO,
            version_payload_entries=[_says(NO)],
        )
        operation = work.session.client(SecretServiceStub).Create(request)
        made = begun(operation, rpc.CreateSecretMetadata(), lambda told: told.secret_id)
        work.session.finish(operation, what=f"create {resource.ref}")
        return Begun(made.id, let_read(work, made.id, cast("DataRecord", resource.spec).readers))

    def update(self, work: Work, existing: Existing, wanted: Resource, fields: tuple[str, ...]) -> Begun:
        spec = cast("DataRecord", wanted.spec)
        if "deletion_protection" in fields:
            protect(work, existing, on=spec.deletion_protection)
        if "disk" in fields:
            _follow(work, existing, wanted)
        return Begun(existing.id, let_read(work, existing.id, spec.readers))

    def delete(self, session: Session, existing: Existing) -> Operation:
        return session.client(SecretServiceStub).Delete(rpc.DeleteSecretRequest(secret_id=existing.id))


def unseeded(session: Session, environment: str) -> list[Secret]:
    """The records of the environment that do not say `yes`."""
    request = rpc.ListSecretsRequest(folder_id=session.folder_id)
    found = session.list(session.client(SecretServiceStub).List, request, "secrets")
    return [secret for secret in found if RECORD in secret.labels and is_of(secret.labels, environment) and no(secret)]


def record_seeded(session: Session, secret_id: str, name: str) -> None:
    """Writes down that the disk has rows, for good."""
    request = rpc.AddVersionRequest(secret_id=secret_id, description=YES, payload_entries=[_says(YES)])
    session.finish(session.client(SecretServiceStub).AddVersion(request), what=f"{name}: {YES}")


def no(secret: Secret) -> bool:
    """Whether the record says that the disk has no rows yet."""
    return bool(secret.current_version.description != YES)


def _labels(work: Work, resource: Resource) -> dict[str, str]:
    disk = work.id(Kind.DISK, cast("DataRecord", resource.spec).disk)
    return {**work.labels(resource), RECORD: SEEDED, DISK: disk}


def _follow(work: Work, existing: Existing, wanted: Resource) -> None:
    """Another disk in the place of the one that the record was about: there were rows on that, for all we know."""
    before = cast("DataRecord", existing.spec)
    if before.disk and not before.seeded:
        record_seeded(work.session, existing.id, existing.name)
    request = rpc.UpdateSecretRequest(
        secret_id=existing.id, update_mask=FieldMask(paths=["labels"]), labels=_labels(work, wanted)
    )
    operation = work.session.client(SecretServiceStub).Update(request)
    work.session.finish(operation, what=f"update {existing.ref}")


def _says(answer: str) -> rpc.PayloadEntryChange:
    return rpc.PayloadEntryChange(key=SEEDED, text_value=answer)
