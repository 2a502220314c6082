"""The one cloud and its one folder."""

from __future__ import annotations

from yandex.cloud.resourcemanager.v1.cloud_pb2 import Cloud
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder

from samovar.localcloud.resources.model import Repository, stamp
from samovar.localcloud.store.store import Store


class Clouds(Repository[Cloud]):
    """There is one cloud in a home."""

    kind, id_prefix = Cloud, "b1g"


class Folders(Repository[Folder]):
    """There is one folder, made with the cloud."""

    kind, id_prefix = Folder, "b1g"


def ensure_folder(store: Store) -> Folder:
    """Returns the folder; makes it and the cloud once a home."""
    if existing := store.all(Folder, name="default"):
        return existing[0]
    cloud = Cloud(id=Clouds(store).new_id(), name="local", organization_id="local")
    folder = Folder(id=Folders(store).new_id(), cloud_id=cloud.id, name="default", status=Folder.ACTIVE)
    for resource in (cloud, folder):
        stamp(resource)
        store.put(resource)
    return folder
