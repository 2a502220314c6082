"""The certificate by which an environment is known, read back from Lockbox."""

from __future__ import annotations

from typing import Any

from yandex.cloud.lockbox.v1.payload_service_pb2 import FolderAndName, GetExRequest
from yandex.cloud.lockbox.v1.payload_service_pb2_grpc import PayloadServiceStub

from samovar.cloud.session import Session
from samovar.deploy.names import secret_name
from samovar.project.environment import Environment, SecretKind

CERTIFICATE = "cert"


def certificates(session: Session, environment: Environment) -> tuple[str, ...]:
    """As PEM, without their keys; CloudError where the caller may not read them."""
    names = [name for name, kind in environment.secrets.items() if kind is SecretKind.CERTIFICATE]
    return tuple(_certificate(session, secret_name(environment.name, name)) for name in names)


def _certificate(session: Session, name: str) -> str:
    request = GetExRequest(folder_and_name=FolderAndName(folder_id=session.folder_id, secret_name=name))
    answer: Any = session.client(PayloadServiceStub).GetEx(request)
    return bytes(answer.entries[CERTIFICATE]).decode()
