"""yandex.cloud.resourcemanager: the one cloud and its folders, and who may do what in a folder."""

from __future__ import annotations

from google.protobuf.message import Message
from yandex.cloud.access.access_pb2 import (
    AccessBinding,
    AccessBindingAction,
    AccessBindingsOperationResult,
    ListAccessBindingsRequest,
    ListAccessBindingsResponse,
    Subject,
    UpdateAccessBindingsMetadata,
    UpdateAccessBindingsRequest,
)
from yandex.cloud.operation.operation_pb2 import Operation
from yandex.cloud.resourcemanager.v1 import cloud_service_pb2 as clouds
from yandex.cloud.resourcemanager.v1 import folder_service_pb2 as folders
from yandex.cloud.resourcemanager.v1.cloud_pb2 import Cloud
from yandex.cloud.resourcemanager.v1.folder_pb2 import Folder

from localcloud.api.pipeline import Caller
from localcloud.services.resource import ResourceService, page, stamp
from localcloud.store.ids import new_id
from localcloud.store.store import Store

BINDINGS = "access.bindings"


class CloudService(ResourceService[Cloud]):
    """There is one cloud in a home."""

    kind, noun, id_field = Cloud, "Cloud", "cloud_id"

    def List(self, request: clouds.ListCloudsRequest, _: Caller) -> clouds.ListCloudsResponse:
        return page(request, clouds.ListCloudsResponse(), "clouds", self.store.all(Cloud))


class FolderService(ResourceService[Folder]):
    """Folders, and the bindings of roles to accounts in them."""

    kind, noun, id_field = Folder, "Folder", "folder_id"

    def List(self, request: folders.ListFoldersRequest, _: Caller) -> folders.ListFoldersResponse:
        found = [folder for folder in self.store.all(Folder) if folder.cloud_id == request.cloud_id]
        return page(request, folders.ListFoldersResponse(), "folders", found)

    def ListAccessBindings(self, request: ListAccessBindingsRequest, _: Caller) -> ListAccessBindingsResponse:
        found = self._bindings(self.by_id(request.resource_id).id)
        return page(request, ListAccessBindingsResponse(), "access_bindings", found)

    def UpdateAccessBindings(self, request: UpdateAccessBindingsRequest, caller: Caller) -> Operation:
        folder = self.by_id(request.resource_id)
        bindings = self._bindings(folder.id)
        result = AccessBindingsOperationResult()
        for delta in request.access_binding_deltas:
            adds = delta.action == AccessBindingAction.ADD
            if adds != (delta.access_binding in bindings):
                (bindings.append if adds else bindings.remove)(delta.access_binding)
                result.effective_deltas.append(delta)
        self.store.note(folder.id, BINDINGS, [_plain(binding) for binding in bindings])
        metadata: Message = UpdateAccessBindingsMetadata(resource_id=folder.id)
        return self.operations.done(caller, "Update access bindings", metadata, result)

    def _bindings(self, folder_id: str) -> list[AccessBinding]:
        return [
            AccessBinding(role_id=role, subject=Subject(id=subject, type=kind))
            for role, subject, kind in self.store.noted(folder_id, BINDINGS, [])
        ]


def _plain(binding: AccessBinding) -> list[str]:
    return [binding.role_id, binding.subject.id, binding.subject.type]


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
