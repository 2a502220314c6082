"""yandex.cloud.compute: images. An image comes from the cloud's own storage, another image, a disk or a snapshot."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from yandex.cloud.compute.v1 import image_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.image_pb2 import Image, Os
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot
from yandex.cloud.operation.operation_pb2 import Operation

from samovar.localcloud.api.errors import denied, invalid, not_found, precondition, unimplemented
from samovar.localcloud.api.pipeline import Caller
from samovar.localcloud.compute.disks.rpc import SOURCE_DISK
from samovar.localcloud.compute.images.standard_images import FOLDER
from samovar.localcloud.home.home import Home
from samovar.localcloud.operations.model import Goal, Operations
from samovar.localcloud.resources.model import fill, page, stamp, update
from samovar.localcloud.resources.rpc import BoundService
from samovar.localcloud.store.files import delete_on_commit, name_on_commit, partial_of
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store

Fetch = Callable[[str, Path], bool]
"""`DiskBuilder.fetch`."""
STORED = re.compile(r"/storage/images/([0-9a-f]{12,64})\.raw")


class ImageService(BoundService[Image]):
    """An image is a RAW file with one ext4 file system, shared read-only by all machines that start from it."""

    kind, noun, id_field = Image, "Image", "image_id"

    def __init__(self, store: Store, operations: Operations, home: Home, fetch: Fetch) -> None:
        super().__init__(store, operations)
        self._home = home
        self._fetch = fetch

    def GetLatestByFamily(self, request: rpc.GetImageLatestByFamilyRequest, _: Caller) -> Image:
        images = self.store.all(Image, scope=request.folder_id)
        family = [image for image in images if (image.family, image.status) == (request.family, Image.READY)]
        if not family:
            raise not_found("Image of the family", request.family)
        return max(family, key=lambda image: (image.created_at.ToNanoseconds(), image.id))

    def List(self, request: rpc.ListImagesRequest, _: Caller) -> rpc.ListImagesResponse:
        found = self.store.all(Image, scope=request.folder_id)
        return page(request, rpc.ListImagesResponse(), "images", found)

    def Create(self, request: rpc.CreateImageRequest, caller: Caller) -> Operation:
        self.admit(request.folder_id, request.name)
        image = Image(id=new_id("image"), status=Image.READY, os=Os(type=Os.LINUX))
        fill(image, request)
        stamp(image)
        metadata = rpc.CreateImageMetadata(image_id=image.id)
        if request.WhichOneof("source") == "disk_id":
            self._from_disk(image, request.disk_id)
            return self.operations.waiting(caller, "Create image", metadata, image, Goal.READY)
        self._fill(image, request)
        self.store.put(image)
        return self.operations.done(caller, "Create image", metadata, image)

    def Update(self, request: rpc.UpdateImageRequest, caller: Caller) -> Operation:
        image = self._own(request)
        update(image, request, self.id_field)
        self.claim_name(image.folder_id, image.name, image.id)
        self.store.put(image)
        return self.operations.done(caller, "Update image", rpc.UpdateImageMetadata(image_id=image.id), image)

    def Delete(self, request: rpc.DeleteImageRequest, caller: Caller) -> Operation:
        """Yandex Cloud copies an image into a disk; here disks stand on it, so one in use stays."""
        image = self._own(request)
        if image.status == Image.CREATING:
            raise precondition(f"Image {image.id} is being created")
        if used := [disk.id for disk in self.store.all(Disk) if disk.source_image_id == image.id]:
            raise precondition(f"Image {image.id} is the base of the disk {used[0]}")
        self.store.delete(Image, image.id)
        delete_on_commit(self.store, self._home.image(image.id))
        return self.operations.gone(caller, "Delete image", rpc.DeleteImageMetadata(image_id=image.id))

    def ListOperations(self, request: rpc.ListImageOperationsRequest, _: Caller) -> rpc.ListImageOperationsResponse:
        found = self.operations.of_resource(self.find(request).id)
        return page(request, rpc.ListImageOperationsResponse(), "operations", found)

    def _own(self, request: object) -> Image:
        """Public images are for reading."""
        image = self.find(request)
        if image.folder_id == FOLDER:
            raise denied(f"Permission denied: the image {image.id} is one of the folder {FOLDER}")
        return image

    def _from_disk(self, image: Image, disk_id: str) -> None:
        """The disk controller makes the file, which takes seconds."""
        disk = self.store.get(Disk, disk_id)
        if disk is None:
            raise not_found("Disk", disk_id)
        for instance_id in disk.instance_ids:
            if self.store.must(Instance, instance_id).status != Instance.STOPPED:
                raise precondition(f"Disk {disk.id} is attached to the instance {instance_id}, which is not stopped")
        image.status = Image.CREATING
        image.min_disk_size = image.size = max(image.min_disk_size, disk.size)
        self.store.put(image)
        self.store.note(image.id, SOURCE_DISK, disk.id)

    def _fill(self, image: Image, request: rpc.CreateImageRequest) -> None:
        """Gives the image its file: a second name of the one that it comes from, or the upload itself."""
        source = request.WhichOneof("source")
        if source == "uri":
            origin = self._uploaded(request.uri)
        elif source == "image_id":
            origin = self._home.image(self.by_id(request.image_id).id)
            if not origin.exists():
                raise precondition(f"Image {request.image_id} is not made yet; a disk made from it makes it")
        elif source == "snapshot_id":
            origin = self._taken(image, request.snapshot_id)
        else:
            raise unimplemented(f"an image made from {source}")
        file = self._home.image(image.id)
        name_on_commit(self.store, file)
        os.link(origin, partial_of(file))
        if source == "uri":
            delete_on_commit(self.store, origin)
        status = origin.stat()
        image.storage_size = status.st_blocks * 512
        image.min_disk_size = max(image.min_disk_size, status.st_size)
        image.size = image.min_disk_size

    def _taken(self, image: Image, snapshot_id: str) -> Path:
        """The file of a snapshot, which never changes; a disk made from the image is as large as the snapshot's was."""
        snapshot = self.store.get(Snapshot, snapshot_id)
        if snapshot is None:
            raise not_found("Snapshot", snapshot_id)
        if snapshot.status != Snapshot.READY:
            raise precondition(f"Snapshot {snapshot.id} is {Snapshot.Status.Name(snapshot.status)}")
        image.min_disk_size = max(image.min_disk_size, snapshot.disk_size)
        return self._home.snapshot(snapshot.id)

    def _uploaded(self, uri: str) -> Path:
        found = STORED.fullmatch(urlsplit(uri).path)
        name = found[1] if found else hashlib.sha256(uri.encode()).hexdigest()
        path = self._home.uploads / f"{name}.raw"
        if not path.exists() and not self._fetch(uri, path):
            raise invalid(
                f"{uri} is not in this cloud's storage; put the RAW file to /storage/images/<digest>.raw first", "uri"
            )
        return path
