"""The RPCs of yandex.cloud.resourcemanager. A role bound to the cloud or a folder counts for all that is in it."""

from __future__ import annotations

from google.protobuf.message import Message
from yandex.cloud.resourcemanager.v1 import cloud_service_pb2 as clouds
from yandex.cloud.resourcemanager.v1 import folder_service_pb2 as folders
from yandex.cloud.resourcemanager.v1.cloud_pb2 import Cloud
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder

from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.registry import Service
from samovar.localcloud.resource_manager.model import Clouds, Folders
from samovar.localcloud.resources.rpc import WithAccessBindings, page


class CloudService(WithAccessBindings[Cloud]):
    """The service of the one cloud."""

    def List(self, request: clouds.ListCloudsRequest, _: Caller) -> Message:
        return page(request, self.store.all(Cloud))


class FolderService(WithAccessBindings[Folder]):
    """The service of the one folder."""

    def List(self, request: folders.ListFoldersRequest, _: Caller) -> Message:
        return page(request, [folder for folder in self.store.all(Folder) if folder.cloud_id == request.cloud_id])


SERVICES = (
    Service(
        clouds, "resource-manager", lambda context: CloudService(Clouds(context.store), context.operations), Clouds
    ),
    Service(
        folders, "resource-manager", lambda context: FolderService(Folders(context.store), context.operations), Folders
    ),
)
