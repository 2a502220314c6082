"""yandex.cloud.resourcemanager: the one cloud and its folders; a role bound there counts for all that is in it."""

from __future__ import annotations

from yandex.cloud.resourcemanager.v1 import cloud_service_pb2 as clouds
from yandex.cloud.resourcemanager.v1 import folder_service_pb2 as folders
from yandex.cloud.resourcemanager.v1.cloud_pb2 import Cloud
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder

from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.resources.model import page, stamp
from samovar.localcloud.resources.rpc import BoundService
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store


class CloudService(BoundService[Cloud]):
    """There is one cloud in a home."""

    kind, noun, id_field = Cloud, "Cloud", "cloud_id"

    def List(self, request: clouds.ListCloudsRequest, _: Caller) -> clouds.ListCloudsResponse:
        return page(request, clouds.ListCloudsResponse(), "clouds", self.store.all(Cloud))


class FolderService(BoundService[Folder]):
    """There is one folder too: it is made with the cloud."""

    kind, noun, id_field = Folder, "Folder", "folder_id"

    def List(self, request: folders.ListFoldersRequest, _: Caller) -> folders.ListFoldersResponse:
        found = [folder for folder in self.store.all(Folder) if folder.cloud_id == request.cloud_id]
        return page(request, folders.ListFoldersResponse(), "folders", found)


def ensure_folder(store: Store) -> Folder:
    """The cloud and its first folder, made once a home."""
    if existing := store.all(Folder, name="default"):
        return existing[0]
    cloud = Cloud(id=new_id("cloud"), name="local", organization_id="local")
    folder = Folder(id=new_id("folder"), cloud_id=cloud.id, name="default", status=Folder.ACTIVE)
    for resource in (cloud, folder):
        stamp(resource)
        store.put(resource)
    return folder
