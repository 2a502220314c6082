"""Whether data disks got their rows, told to their machines by Lockbox: a secret that hides nothing.

It is known by one id as long as the data lives, so nothing that a machine is born with changes when the answer does.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from yandex.cloud.lockbox.v1 import secret_service_pb2 as rpc
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from cloud.labels import RECORD, is_of
from cloud.session import Session, side_by_side
from groups.foundation import DataRecord
from groups.kinds.base import Begun, Fixed, Names, Work, begun
from groups.kinds.secret import Readable, let_read, protect, readable
from groups.spec import Existing, Resource

SEEDED = "seeded"
YES, NO = "yes", "no"


class Records(Fixed):
    """The answer stands in the version's description as well: the tool reads no payload."""

    def list(self, session: Session) -> list[Any]:
        return readable(session, lambda labels: RECORD in labels)

    def read(self, record: Readable, names: Names) -> DataRecord:
        return DataRecord(
            readers=tuple(sorted(map(names.of, record.readers))),
            seeded=_seeded(record),
            deletion_protection=record.message.deletion_protection,
        )

    def create(self, work: Work, resource: Resource) -> Begun:
        request = rpc.CreateSecretRequest(
            folder_id=work.session.folder_id,
            name=resource.name,
            description="whether the data disk of this group got its rows",
            labels={**work.labels(resource), RECORD: SEEDED},
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
        return Begun(existing.id, let_read(work, existing.id, spec.readers))

    def delete(self, session: Session, existing: Existing) -> Operation:
        return session.client(SecretServiceStub).Delete(rpc.DeleteSecretRequest(secret_id=existing.id))


def remember_seeded(session: Session, environment: str) -> None:
    """Writes down that the environment, which was found healthy, has rows on its data disks."""
    records = [found for found in Records().list(session) if is_of(found.labels, environment) and not _seeded(found)]
    side_by_side(*(partial(_remember, session, record) for record in records))


def _remember(session: Session, record: Readable) -> None:
    request = rpc.AddVersionRequest(secret_id=record.id, description=YES, payload_entries=[_says(YES)])
    operation = session.client(SecretServiceStub).AddVersion(request)
    session.finish(operation, what=f"{record.name}: {YES}")


def _seeded(record: Readable) -> bool:
    return bool(record.message.current_version.description == YES)


def _says(answer: str) -> rpc.PayloadEntryChange:
    return rpc.PayloadEntryChange(key=SEEDED, text_value=answer)
