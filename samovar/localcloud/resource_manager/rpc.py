"""The RPCs of yandex.cloud.resourcemanager. A role bound to the cloud or a folder counts for all that is in it."""

from __future__ import annotations

from google.protobuf.message import Message
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.resourcemanager.v1 import cloud_service_pb2 as clouds
from yandex.cloud.resourcemanager.v1 import folder_service_pb2 as folders
from yandex.cloud.resourcemanager.v1.cloud_pb2 import Cloud
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder

from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.operations.model import Operations
from samovar.localcloud.registry import Service
from samovar.localcloud.resource_manager.model import Clouds, Folders
from samovar.localcloud.resources.model import fill, stamp, update
from samovar.localcloud.resources.rpc import WithAccessBindings, WithOperations, page


class CloudService(WithOperations[Cloud], WithAccessBindings[Cloud]):
    """The service of clouds. One that is deleted goes at once, whatever `delete_after` says."""

    def __init__(self, resources: Clouds, operations: Operations) -> None:
        super().__init__(resources, operations)
        self._clouds = resources

    def List(self, request: clouds.ListCloudsRequest, _: Caller) -> Message:
        return page(request, self.store.all(Cloud))

    def Create(self, request: clouds.CreateCloudRequest, caller: Caller) -> Operation:
        cloud = Cloud(id=self.resources.new_id())
        fill(cloud, request)
        stamp(cloud)
        metadata = clouds.CreateCloudMetadata(cloud_id=cloud.id)
        return self.stored(caller, "Create cloud", metadata, cloud)

    def Update(self, request: clouds.UpdateCloudRequest, caller: Caller) -> Operation:
        cloud = self.find(request)
        update(cloud, request, self.id_field)
        metadata = clouds.UpdateCloudMetadata(cloud_id=cloud.id)
        return self.stored(caller, "Update cloud", metadata, cloud)

    def Delete(self, request: clouds.DeleteCloudRequest, caller: Caller) -> Operation:
        cloud = self.find(request)
        self._clouds.check_deletable(cloud)
        self.resources.delete(cloud.id)
        metadata = clouds.DeleteCloudMetadata(cloud_id=cloud.id, delete_after=request.delete_after)
        return self.operations.deleted(caller, "Delete cloud", metadata)


class FolderService(WithOperations[Folder], WithAccessBindings[Folder]):
    """The service of folders. One that is deleted goes at once, whatever `delete_after` says."""

    def __init__(self, resources: Folders, operations: Operations) -> None:
        super().__init__(resources, operations)
        self._folders = resources

    def List(self, request: folders.ListFoldersRequest, _: Caller) -> Message:
        cloud = Clouds(self.store).by_id(request.cloud_id)
        return page(request, Clouds(self.store).folders(cloud.id))

    def Create(self, request: folders.CreateFolderRequest, caller: Caller) -> Operation:
        cloud = Clouds(self.store).by_id(request.cloud_id)
        self.resources.claim_name(cloud.id, request.name)
        folder = Folder(id=self.resources.new_id(), status=Folder.ACTIVE)
        fill(folder, request)
        stamp(folder)
        metadata = folders.CreateFolderMetadata(folder_id=folder.id)
        return self.stored(caller, "Create folder", metadata, folder)

    def Update(self, request: folders.UpdateFolderRequest, caller: Caller) -> Operation:
        folder = self.find(request)
        update(folder, request, self.id_field)
        self.resources.claim_name(folder.cloud_id, folder.name, folder.id)
        metadata = folders.UpdateFolderMetadata(folder_id=folder.id)
        return self.stored(caller, "Update folder", metadata, folder)

    def Delete(self, request: folders.DeleteFolderRequest, caller: Caller) -> Operation:
        folder = self.find(request)
        self._folders.check_deletable(folder)
        self.resources.delete(folder.id)
        metadata = folders.DeleteFolderMetadata(folder_id=folder.id, delete_after=request.delete_after)
        return self.operations.deleted(caller, "Delete folder", metadata)


SERVICES = (
    Service(
        clouds, "resource-manager", lambda context: CloudService(Clouds(context.store), context.operations), Clouds
    ),
    Service(
        folders, "resource-manager", lambda context: FolderService(Folders(context.store), context.operations), Folders
    ),
)
