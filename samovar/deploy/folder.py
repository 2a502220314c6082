"""The folder that an environment belongs to, compared with the one to which the credentials lead.

A wrong profile would build the environment a second time, in another folder, with data disks of its own.
"""

from __future__ import annotations

from yandex.cloud.resourcemanager.v1.folder_service_pb2 import GetFolderRequest
from yandex.cloud.resourcemanager.v1.folder_service_pb2_grpc import FolderServiceStub

from samovar.cloud.session import Session
from samovar.core.errors import CloudError, ConfigError
from samovar.project.environment import Environment


def check_folder(session: Session, environment: Environment) -> tuple[str, ...]:
    """Raises ConfigError where the credentials lead elsewhere than the environment's file says.

    Returns the lines that the file lacks; none for a cloud on a host of ours, whose ids differ by home.
    """
    _compare(session, environment.name, "folder", environment.folder_id, session.folder_id)
    if environment.cloud_id:
        _compare(session, environment.name, "cloud_id", environment.cloud_id, cloud_of(session))
    if session.host:
        return ()
    folder = () if environment.folder_id else (f"folder: {session.folder_id}",)
    return folder if environment.cloud_id else (*folder, *_cloud_line(session))


def cloud_of(session: Session) -> str:
    """The cloud that the folder is in, by the API's word: a variable may name another."""
    return session.client(FolderServiceStub).Get(GetFolderRequest(folder_id=session.folder_id)).cloud_id


def _compare(session: Session, name: str, key: str, wanted: str | None, found: str) -> None:
    if wanted not in {None, found}:
        raise ConfigError(
            f"{name} belongs to {key} {wanted}, but {session.credentials} leads to {key} {found}: nothing was done",
            remedy=f"use other credentials (docs/yandex.md), or correct {key} in {name}'s config.yaml",
        )


def _cloud_line(session: Session) -> tuple[str, ...]:
    """Nothing where the folder is not ours to see: that is told by the call that needs it."""
    try:
        return (f"cloud_id: {cloud_of(session)}",)
    except CloudError:
        return ()
