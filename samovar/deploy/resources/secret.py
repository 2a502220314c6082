"""Lockbox secrets and the accounts that may read them. Lockbox generates the passwords: the tool never sees one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.wrappers_pb2 import BoolValue
from yandex.cloud.access.access_pb2 import SetAccessBindingsRequest
from yandex.cloud.lockbox.v1 import secret_service_pb2 as rpc
from yandex.cloud.lockbox.v1.payload_service_pb2 import GetExRequest
from yandex.cloud.lockbox.v1.payload_service_pb2_grpc import PayloadServiceStub
from yandex.cloud.lockbox.v1.secret_pb2 import PasswordPayloadSpecification
from yandex.cloud.lockbox.v1.secret_pb2 import Secret as SecretMessage
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.labels import RECORD, SECRET_TYPE, is_of, is_ours
from samovar.cloud.session import Session
from samovar.core.concurrency import run_concurrently
from samovar.deploy.resources.address import reserved_address
from samovar.deploy.resources.handler import Context, Handler, IdIndex, Started, WithMessage, started
from samovar.deploy.resources.resource import Existing, Kind, Protectable, Ref, Resource, Spec
from samovar.deploy.resources.role_grants import SECRET_READER, bindings_of
from samovar.deploy.resources.service_account import account_binding
from samovar.project.environment import Environment
from samovar.project.environment_options import SecretKind

if TYPE_CHECKING:
    from samovar.core.certificates import Certificate

PASSWORD, CERTIFICATE, PROVIDED = map(str, (SecretKind.PASSWORD, SecretKind.CERTIFICATE, SecretKind.PROVIDED))
PASSWORD_LENGTH = 32
CLOCK_SKEW = timedelta(days=7)
"""By how much the clocks of clients may be behind, and ours ahead."""
SELF_SIGNED = "self-signed"
"""The first word in the description of a certificate's version that the tool made; any other one is the operator's."""
FOR = "for="
"""What stands there before the names of the addresses that the certificate is for."""
LONGEST_DESCRIPTION = 256
CERTIFIED = ("addresses", "domain")
"""What a certificate is for. One that the tool made is made anew where it changes."""


@dataclass(frozen=True)
class Secret(Protectable):
    """A secret and the accounts that may read it. A certificate is for `addresses`, by their names, and `domain`.

    In an observed one there are no addresses where its version does not tell. `replaced`: the operator put another
    certificate in its place, for whatever names. `empty`: it has no value yet, for the operator has to provide it.
    """

    KIND = Kind.SECRET
    IMMUTABLE = frozenset({"type"})
    CREATE_ONLY = frozenset({"replaced", "empty"})
    IRREPLACEABLE = True

    type: str
    readers: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    domain: str = ""
    replaced: bool = False
    empty: bool = False

    def differing(self, other: Spec) -> tuple[str, ...]:
        ignored = CERTIFIED if self.replaced else () if self.addresses else ("addresses",)
        return tuple(name for name in super().differing(other) if name not in ignored)

    def refs(self) -> Iterator[Ref]:
        yield from (Ref(Kind.SERVICE_ACCOUNT, name) for name in self.readers)
        yield from (Ref(Kind.ADDRESS, name) for name in self.addresses)


@dataclass(frozen=True)
class SecretWithReaders(WithMessage[SecretMessage]):
    """A secret's message, and the ids of the accounts that may read it."""

    readers: tuple[str, ...]


class SecretHandler(Handler[Secret, SecretWithReaders]):
    """Creates passwords and certificates."""

    KIND = Kind.SECRET

    def list(self, session: Session) -> list[SecretWithReaders]:
        return list_secrets(session, lambda labels: RECORD not in labels)

    def read(self, secret: SecretWithReaders, index: IdIndex) -> Secret:
        type_ = secret_type(secret.message)
        origin, domain, addresses = _read_description(secret.message.current_version.description)
        return Secret(
            type=type_,
            readers=tuple(sorted(map(index.name_of, secret.readers))),
            addresses=addresses,
            domain=domain,
            replaced=type_ == CERTIFICATE and origin != SELF_SIGNED,
            empty=not secret.message.HasField("current_version"),
            deletion_protection=secret.message.deletion_protection,
        )

    def create(self, context: Context, resource: Resource[Secret]) -> Started:
        spec = resource.spec
        request = rpc.CreateSecretRequest(
            folder_id=context.session.folder_id,
            name=resource.name,
            labels={**context.labels(resource), **type_label(spec.type)},
            deletion_protection=spec.deletion_protection,
        )
        if spec.type == PASSWORD:
            _generate_password(request)
        elif spec.type == CERTIFICATE:
            request.version_description = _version_description(spec)
            request.version_payload_entries.extend(_certificate(context, spec))
        return create_secret(context, resource, request, spec.readers)

    def update(
        self, context: Context, existing: Existing[Secret], desired: Resource[Secret], fields: tuple[str, ...]
    ) -> Started:
        """Start the change. A certificate for other names is a new version, which the machines fetch themselves."""
        if "deletion_protection" in fields:
            protect_secret(context, existing, on=desired.spec.deletion_protection)
        if {*CERTIFIED} & {*fields}:
            _add_certificate(context, existing, desired.spec)
        return Started(existing.id, set_readers(context, existing.id, desired.spec.readers))

    def delete(self, session: Session, existing: Existing[Secret]) -> Operation:
        return session.client(SecretServiceStub).Delete(rpc.DeleteSecretRequest(secret_id=existing.id))


def secret_name(environment: str, secret: str) -> str:
    """Return a secret's name in the cloud; Lockbox takes no underscores."""
    return f"{environment}-{secret.replace('_', '-')}"


def type_label(type_: str) -> dict[str, str]:
    """Return the label that tells what a secret is, where its content does not."""
    return {SECRET_TYPE: type_} if type_ == PROVIDED else {}


def secret_type(secret: SecretMessage) -> str:
    """Return the kind of a secret of the tool's."""
    generated = secret.HasField("password_payload_specification")
    return secret.labels.get(SECRET_TYPE) or (PASSWORD if generated else CERTIFICATE)


def list_secrets(session: Session, selected: Callable[[Mapping[str, str]], bool]) -> list[SecretWithReaders]:
    """Return the tool's secrets whose labels are selected."""
    ours = [message for message in list_messages(session) if is_ours(message.labels) and selected(message.labels)]
    return run_concurrently(*(partial(_with_readers, session, message) for message in ours))


def list_messages(session: Session) -> list[SecretMessage]:
    """Return all secrets of the folder, as the API has them."""
    request = rpc.ListSecretsRequest(folder_id=session.folder_id)
    return session.list(session.client(SecretServiceStub).List, request, lambda page: page.secrets)


def _with_readers(session: Session, message: SecretMessage) -> SecretWithReaders:
    bindings = bindings_of(session, session.client(SecretServiceStub), message.id)
    return SecretWithReaders(message, tuple(each.subject.id for each in bindings if each.role_id == SECRET_READER))


def create_secret(
    context: Context, resource: Resource[Spec], request: rpc.CreateSecretRequest, readers: Iterable[str]
) -> Started:
    """Create a secret, and start to let its readers in."""
    operation = context.session.client(SecretServiceStub).Create(request)
    secret = started(operation, rpc.CreateSecretMetadata(), lambda metadata: metadata.secret_id)
    context.session.finish(operation, what=f"create {resource.ref}")
    return Started(secret.id, set_readers(context, secret.id, readers))


def set_readers(context: Context, secret_id: str, readers: Iterable[str]) -> Operation:
    """Let the accounts of these names, and no other, read the secret's payload."""
    bindings = [account_binding(SECRET_READER, context.id(Kind.SERVICE_ACCOUNT, name)) for name in readers]
    request = SetAccessBindingsRequest(resource_id=secret_id, access_bindings=bindings)
    return context.session.client(SecretServiceStub).SetAccessBindings(request)


def protect_secret(context: Context, existing: Existing[Spec], *, on: bool) -> None:
    """Switch a secret's protection from deletion on or off."""
    mask = FieldMask(paths=["deletion_protection"])
    request = rpc.UpdateSecretRequest(secret_id=existing.id, update_mask=mask, deletion_protection=on)
    operation = context.session.client(SecretServiceStub).Update(request)
    context.session.finish(operation, what=f"deletion_protection of {existing.ref}")


def _generate_password(request: rpc.CreateSecretRequest) -> None:
    """The password has no punctuation, so that it needs no quoting anywhere."""
    specification = PasswordPayloadSpecification(
        password_key=PASSWORD, length=PASSWORD_LENGTH, include_punctuation=BoolValue(value=False)
    )
    request.password_payload_specification.CopyFrom(specification)
    request.create_version.CopyFrom(BoolValue(value=True))


def _add_certificate(context: Context, existing: Existing[Secret], spec: Secret) -> None:
    request = rpc.AddVersionRequest(
        secret_id=existing.id, description=_version_description(spec), payload_entries=_certificate(context, spec)
    )
    operation = context.session.client(SecretServiceStub).AddVersion(request)
    context.session.finish(operation, what=f"new version of {existing.ref}")


def _version_description(spec: Secret) -> str:
    """Return what a certificate is for; without its addresses where these are too many for a description."""
    words = [SELF_SIGNED, *filter(None, [spec.domain])]
    text = " ".join([*words, f"{FOR}{','.join(spec.addresses)}"])
    return text if len(text) <= LONGEST_DESCRIPTION else " ".join(words)


def _read_description(text: str) -> tuple[str, str, tuple[str, ...]]:
    """Return the first word, and the domain and the names of the addresses of a certificate that the tool made."""
    origin, *words = text.split() or [""]
    if origin != SELF_SIGNED:
        return origin, "", ()
    domain = next((word for word in words if not word.startswith(FOR)), "")
    addresses = next((word.removeprefix(FOR) for word in words if word.startswith(FOR)), "")
    return origin, domain, tuple(filter(None, addresses.split(",")))


def _certificate(context: Context, spec: Secret) -> list[rpc.PayloadEntryChange]:
    addresses = [reserved_address(context, Ref(Kind.ADDRESS, name)) for name in spec.addresses]
    pair = self_signed(addresses, spec.domain)
    return [rpc.PayloadEntryChange(key=key, text_value=pem) for key, pem in (("cert", pair.cert), ("key", pair.key))]


def self_signed(addresses: Iterable[str], domain: str = "") -> Certificate:
    """Return a certificate for all of `addresses` and for `domain`, if there is one. Lockbox alone stores its key."""
    from samovar.core import certificates  # noqa: PLC0415 - 0.1 s that only a new certificate needs

    names = [*addresses, *([domain] if domain else [])]
    return certificates.self_signed(domain or "samovar", names, skew=CLOCK_SKEW)


def read_certificates(session: Session, environment: Environment) -> tuple[str, ...]:
    """Return the environment's certificates as PEM, without keys. CloudError where the caller may not read them."""
    return tuple(_read_certificate(session, each.id) for each in list_certificates(session, environment))


def list_certificates(session: Session, environment: Environment) -> list[SecretMessage]:
    """Return the secrets of the environment's certificates, as the API has them."""
    secrets = environment.own_secrets.items()
    names = {secret_name(environment.name, name) for name, kind in secrets if kind is SecretKind.CERTIFICATE}
    return [each for each in list_messages(session) if each.name in names and is_of(each.labels, environment.name)]


def _read_certificate(session: Session, secret_id: str) -> str:
    payload = session.client(PayloadServiceStub).GetEx(GetExRequest(secret_id=secret_id))
    return payload.entries["cert"].decode()
