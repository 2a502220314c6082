"""The secrets of an environment as their operator sees them: what there is, a new value, a new password.

What a secret holds is never read back, nor shown: it goes from a file into Lockbox, and from there to the machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from yandex.cloud.lockbox.v1 import secret_service_pb2 as rpc
from yandex.cloud.lockbox.v1.secret_pb2 import Secret as SecretMessage
from yandex.cloud.lockbox.v1.secret_service_pb2_grpc import SecretServiceStub
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.cloud.labels import RECORD, is_of, of_environment
from samovar.cloud.session import Session
from samovar.core.errors import ConfigError, command_line
from samovar.deploy.resources.resource import Kind, Observed, Ref
from samovar.deploy.resources.secret import Secret, list_secrets, secret_name, secret_type, type_label
from samovar.project.environment import Environment
from samovar.project.environment_options import SecretKind

LARGEST = 64 * 1024
"""Bytes: the most that a version of a secret holds (lockbox/concepts/limits)."""
ONE_ENTRY = "value"
"""The key of a secret that has a single entry."""
CERTIFICATE_ENTRIES = frozenset({"cert", "key"})


@dataclass(frozen=True)
class SecretStatus:
    """A secret of an environment: `version` is the id of the current one, empty while there is none.

    `created` is when that version was made (RFC 3339), `entries` are its keys, `groups` those to which the
    environment's file gives it.
    """

    name: str
    type: str
    version: str
    created: str
    entries: tuple[str, ...]
    groups: tuple[str, ...]


def secret_statuses(session: Session, environment: Environment) -> tuple[SecretStatus, ...]:
    """Return the secrets that are made for the environment, in the order of its file."""
    messages = _messages(session, environment)
    return tuple(
        _status(environment, name, kind, messages.get(name, SecretMessage()))
        for name, kind in environment.own_secrets.items()
    )


def set_value(session: Session, environment: Environment, name: str, entries: Mapping[str, bytes]) -> Operation:
    """Start to give a secret a new version of these entries alone; a secret that is not there yet is created.

    Raises ConfigError for a secret that the environment does not have, whose value is not the operator's to say, or
    for entries that it cannot have.
    """
    kind = _kind(environment, name)
    _check_entries(environment, name, kind, entries)
    message = _messages(session, environment).get(name)
    if message is None:
        return _create(session, environment, name, entries)
    _check_kind(environment, name, secret_type(message))
    former = set(message.current_version.payload_entry_keys) - entries.keys()
    removed = [rpc.PayloadEntryChange(key=key) for key in sorted(former)]
    request = rpc.AddVersionRequest(secret_id=message.id, payload_entries=[*_changes(entries), *removed])
    return session.client(SecretServiceStub).AddVersion(request)


def rotate(session: Session, environment: Environment, name: str) -> Operation:
    """Start to make a password anew. Raises ConfigError for any other secret."""
    kind = _kind(environment, name)
    if kind is not SecretKind.PASSWORD:
        value = "--entry cert=FILE --entry key=FILE" if kind is SecretKind.CERTIFICATE else "< FILE"
        remedy = f"give it a new value: {command_line(f'secret set {environment.name} {name}')} {value}"
        raise ConfigError(
            f"secret {name} of {environment.name} is of the kind {kind}: only a password is made up", remedy=remedy
        )
    message = _messages(session, environment).get(name)
    if message is None:
        raise ConfigError(
            f"secret {name} of {environment.name} is not in the cloud yet: a rollout makes it",
            remedy=command_line(f"rollout {environment.name}"),
        )
    _check_kind(environment, name, secret_type(message))
    return session.client(SecretServiceStub).AddVersion(rpc.AddVersionRequest(secret_id=message.id))


def check_kinds(environment: Environment, observed: Observed) -> None:
    """Raise ConfigError where a secret is of another kind in the cloud: the groups that have it would go with it."""
    there = {each.name: each.spec.type for each in observed.resources if isinstance(each.spec, Secret)}
    for name in environment.own_secrets:
        if former := there.get(secret_name(environment.name, name)):
            _check_kind(environment, name, former)


def check_provided(environment: Environment, observed: Observed) -> None:
    """Raise ConfigError where a secret that the operator has to provide has no value: machines would wait for it."""
    filled = {each.ref for each in observed.resources if isinstance(each.spec, Secret) and not each.spec.empty}
    for name, kind in environment.own_secrets.items():
        if kind is SecretKind.PROVIDED and Ref(Kind.SECRET, secret_name(environment.name, name)) not in filled:
            raise ConfigError(
                f"{environment.place('secrets', name)}: secret {name} has no value yet, its machines would wait for it",
                remedy=f"{command_line(f'secret set {environment.name} {name}')} < FILE",
            )


def _status(environment: Environment, name: str, kind: SecretKind, message: SecretMessage) -> SecretStatus:
    version = message.current_version
    return SecretStatus(
        name=name,
        type=kind.value,
        version=version.id,
        created=version.created_at.ToJsonString() if version.id else "",
        entries=tuple(version.payload_entry_keys),
        groups=tuple(group.name for group in environment.groups if name in group.secrets.values()),
    )


def _messages(session: Session, environment: Environment) -> dict[str, SecretMessage]:
    """Return the environment's secrets in the cloud, by the names that its file gives them."""
    listed = list_secrets(session, lambda labels: RECORD not in labels and is_of(labels, environment.name))
    messages = {each.message.name: each.message for each in listed}
    names = {name: messages.get(secret_name(environment.name, name)) for name in environment.own_secrets}
    return {name: message for name, message in names.items() if message is not None}


def _kind(environment: Environment, name: str) -> SecretKind:
    if name not in environment.secrets:
        raise ConfigError(
            f"{environment.name} has no secret {name}",
            remedy=f"name it in `secrets` of its config.yaml; there: {', '.join(environment.secrets) or 'none'}",
        )
    if name in environment.existing_secrets:
        raise ConfigError(
            f"secret {name} of {environment.name} exists already, and is not the environment's to change",
            remedy=f"yc lockbox secret add-version {environment.existing_secrets[name]}",
        )
    return environment.own_secrets[name]


def _check_kind(environment: Environment, name: str, former: str) -> None:
    kind = environment.own_secrets[name]
    if former != kind:
        raise ConfigError(
            f"{environment.place('secrets', name)}: secret {name} is of the kind {former} in the cloud, and stays so",
            remedy=f"keep {name}: {former}, or give the {kind} another name, and its groups secrets: {{{name}: NAME}}",
        )


def _check_entries(environment: Environment, name: str, kind: SecretKind, entries: Mapping[str, bytes]) -> None:
    where = f"secret {name} of {environment.name}"
    if kind is SecretKind.PASSWORD:
        rotation = command_line(f"secret rotate {environment.name} {name}")
        remedy = f"{rotation}; a value of your own is that of another secret, of the kind `provided`"
        raise ConfigError(f"{where} is a password, which Lockbox makes up", remedy=remedy)
    if kind is SecretKind.CERTIFICATE and entries.keys() != CERTIFICATE_ENTRIES:
        raise ConfigError(f"{where} is a certificate", remedy="give --entry cert=FILE and --entry key=FILE, in PEM")
    if kind is SecretKind.CERTIFICATE:
        from samovar.core.certificates import check_pair  # noqa: PLC0415 - 0.1 s that only this needs

        check_pair(entries["cert"], entries["key"])
    if not all(entries.values()):
        raise ConfigError(f"{where}: an empty value", remedy="give the value on stdin, or a file that is not empty")
    if sum(map(len, entries.values())) > LARGEST:
        raise ConfigError(f"{where}: over {LARGEST // 1024} KiB, the most that Lockbox holds", remedy="give less")


def _create(session: Session, environment: Environment, name: str, entries: Mapping[str, bytes]) -> Operation:
    request = rpc.CreateSecretRequest(
        folder_id=session.folder_id,
        name=secret_name(environment.name, name),
        labels={**of_environment(environment.name), **type_label(environment.own_secrets[name])},
        version_payload_entries=_changes(entries),
        deletion_protection=environment.deletion_protection,
    )
    return session.client(SecretServiceStub).Create(request)


def _changes(entries: Mapping[str, bytes]) -> list[rpc.PayloadEntryChange]:
    return [_change(key, value) for key, value in sorted(entries.items())]


def _change(key: str, value: bytes) -> rpc.PayloadEntryChange:
    try:
        return rpc.PayloadEntryChange(key=key, text_value=value.decode())
    except UnicodeDecodeError:
        return rpc.PayloadEntryChange(key=key, binary_value=value)
