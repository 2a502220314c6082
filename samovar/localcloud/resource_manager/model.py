"""Clouds and their folders. A home begins with one of each."""

from __future__ import annotations

from yandex.cloud.resourcemanager.v1.cloud_pb2 import Cloud
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder

from samovar.localcloud.api.errors import precondition
from samovar.localcloud.resources.model import Repository, stamp
from samovar.localcloud.store.store import NoteKey, Store

HOME = "home"
FOLDER = NoteKey[str]("home.folder")
"""The note on the home that names the folder which a home begins with: its operator works in it."""


class Clouds(Repository[Cloud]):
    """A cloud holds folders. Source: the documentation of Resource Manager; names of clouds need not be unique."""

    kind, id_prefix = Cloud, "b1g"
    has_unique_names = False

    def folders(self, cloud_id: str) -> list[Folder]:
        return [folder for folder in self.store.all(Folder) if folder.cloud_id == cloud_id]

    def check_deletable(self, cloud: Cloud) -> None:
        """Refuse a cloud that is not empty, as the home's own always is."""
        if folders := self.folders(cloud.id):
            raise precondition(f"Cloud {cloud.id} is not empty: it has {', '.join(folder.id for folder in folders)}")


class Folders(Repository[Folder]):
    """A folder holds resources; its name is unique in its cloud."""

    kind, id_prefix = Folder, "b1g"

    def put(self, resource: Folder) -> None:
        self.store.put(resource, scope=resource.cloud_id)

    def check_deletable(self, folder: Folder) -> None:
        """Refuse the home's own folder, and one that is not empty; Yandex Cloud deletes what is in it."""
        if folder.id == self.store.noted(HOME, FOLDER):
            raise precondition(f"Folder {folder.id} is the one that this local cloud begins with")
        if contents := self.store.ids_in(folder.id):
            raise precondition(f"Folder {folder.id} is not empty: it has {', '.join(contents)}")


def ensure_folder(store: Store) -> Folder:
    """Return the folder that the home begins with; make it and its cloud once."""
    folder_id = store.noted(HOME, FOLDER)
    if folder_id is None:
        older = store.all(Folder, name="default")
        folder_id = older[0].id if older else _make(store)
        store.note(HOME, FOLDER, folder_id)
    return store.must(Folder, folder_id)


def _make(store: Store) -> str:
    cloud = Cloud(id=Clouds(store).new_id(), name="local", organization_id="local")
    folder = Folder(id=Folders(store).new_id(), cloud_id=cloud.id, name="default", status=Folder.ACTIVE)
    stamp(cloud)
    stamp(folder)
    Clouds(store).put(cloud)
    Folders(store).put(folder)
    return folder.id
