"""Lockbox secrets with who may read them. Passwords are made by Lockbox: nobody here ever sees one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.wrappers_pb2 import BoolValue
from yandex.cloud.access.access_pb2 import ListAccessBindingsRequest, SetAccessBindingsRequest
from yandex.cloud.lockbox.v1 import secret_service_pb2 as rpc
from yandex.cloud.lockbox.v1.secret_pb2 import PasswordPayloadSpecification
from yandex.cloud.lockbox.v1.secret_pb2 import Secret as SecretMessage
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.labels import RECORD, is_ours
from samovar.cloud.session import Session, side_by_side
from samovar.deploy.certificate import self_signed
from samovar.deploy.foundation_specs import Secret
from samovar.deploy.resources.handler import Begun, Fixed, Names, Told, Work, begun
from samovar.deploy.resources.service_account import binding
from samovar.deploy.resources.vpc import address_of
from samovar.deploy.specs import Existing, Kind, Ref, Resource

READER = "lockbox.payloadViewer"
PASSWORD, CERTIFICATE = "password", "certificate"
PASSWORD_LENGTH = 32
SELF_SIGNED = "self-signed"
"""How the description of a certificate's version begins that was made here; any other one is the operator's own."""


@dataclass(frozen=True)
class Readable(Told):
    """A secret's message, and the ids of the accounts that may read it."""

    readers: tuple[str, ...]


class Secrets(Fixed):
    """Passwords and certificates."""

    def list(self, session: Session) -> list[Any]:
        return readable(session, lambda labels: RECORD not in labels)

    def read(self, secret: Readable, names: Names) -> Secret:
        generated = secret.message.HasField("password_payload_specification")
        made, _, domain = secret.message.current_version.description.partition(" ")
        return Secret(
            type=PASSWORD if generated else CERTIFICATE,
            readers=tuple(sorted(map(names.of, secret.readers))),
            domain=domain if made == SELF_SIGNED else "",
            provided=not generated and made != SELF_SIGNED,
            deletion_protection=secret.message.deletion_protection,
        )

    def create(self, work: Work, resource: Resource) -> Begun:
        spec = cast("Secret", resource.spec)
        content = _password() if spec.type == PASSWORD else _certificate(work, spec)
        request = rpc.CreateSecretRequest(
            folder_id=work.session.folder_id,
            name=resource.name,
            labels=work.labels(resource),
            deletion_protection=spec.deletion_protection,
            **content,
        )
        operation = work.session.client(SecretServiceStub).Create(request)
        made = begun(operation, rpc.CreateSecretMetadata(), lambda told: told.secret_id)
        work.session.finish(operation, what=f"create {resource.ref}")
        return Begun(made.id, let_read(work, made.id, spec.readers))

    def update(self, work: Work, existing: Existing, wanted: Resource, fields: tuple[str, ...]) -> Begun:
        """Another domain is another version, which the machines fetch by themselves."""
        spec = cast("Secret", wanted.spec)
        if "deletion_protection" in fields:
            protect(work, existing, on=spec.deletion_protection)
        if "domain" in fields:
            content = _certificate(work, spec)
            request = rpc.AddVersionRequest(
                secret_id=existing.id,
                description=content["version_description"],
                payload_entries=content["version_payload_entries"],
            )
            operation = work.session.client(SecretServiceStub).AddVersion(request)
            work.session.finish(operation, what=f"new version of {existing.ref}")
        return Begun(existing.id, let_read(work, existing.id, spec.readers))

    def delete(self, session: Session, existing: Existing) -> Operation:
        return session.client(SecretServiceStub).Delete(rpc.DeleteSecretRequest(secret_id=existing.id))


def readable(session: Session, which: Callable[[Mapping[str, str]], bool]) -> list[Readable]:
    """The tool's secrets whose labels are those that are meant."""
    request = rpc.ListSecretsRequest(folder_id=session.folder_id)
    found = session.list(session.client(SecretServiceStub).List, request, "secrets")
    ours = [message for message in found if is_ours(message.labels) and which(message.labels)]
    return side_by_side(*(partial(_readable, session, message) for message in ours))


def _readable(session: Session, message: SecretMessage) -> Readable:
    request = ListAccessBindingsRequest(resource_id=message.id)
    bindings = session.list(session.client(SecretServiceStub).ListAccessBindings, request, "access_bindings")
    return Readable(message, tuple(found.subject.id for found in bindings if found.role_id == READER))


def let_read(work: Work, secret_id: str, readers: Iterable[str]) -> Operation:
    """Lets the accounts of these names read what the secret holds, and nobody else."""
    bindings = [binding(READER, work.id(Kind.SERVICE_ACCOUNT, name)) for name in readers]
    request = SetAccessBindingsRequest(resource_id=secret_id, access_bindings=bindings)
    return work.session.client(SecretServiceStub).SetAccessBindings(request)


def protect(work: Work, existing: Existing, *, on: bool) -> None:
    """Switches a secret's protection from deletion on or off."""
    request = rpc.UpdateSecretRequest(
        secret_id=existing.id, update_mask=FieldMask(paths=["deletion_protection"]), deletion_protection=on
    )
    operation = work.session.client(SecretServiceStub).Update(request)
    work.session.finish(operation, what=f"deletion_protection of {existing.ref}")


def _password() -> dict[str, Any]:
    """Without punctuation, so that it needs no quoting anywhere."""
    specification = PasswordPayloadSpecification(
        password_key=PASSWORD, length=PASSWORD_LENGTH, include_punctuation=BoolValue(value=False)
    )
    return {"password_payload_specification": specification, "create_version": BoolValue(value=True)}


def _certificate(work: Work, spec: Secret) -> dict[str, Any]:
    addresses = [address_of(work, Ref(Kind.ADDRESS, name)) for name in spec.addresses]
    made = self_signed(addresses, spec.domain)
    entries = [
        rpc.PayloadEntryChange(key=key, text_value=value) for key, value in (("cert", made.cert), ("key", made.key))
    ]
    return {"version_description": f"{SELF_SIGNED} {spec.domain}".rstrip(), "version_payload_entries": entries}
