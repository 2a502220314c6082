"""Images in the store and their files. One comes from the cloud's storage, another image, a disk or a snapshot.

An image is a RAW file with one ext4 file system, shared read-only by all machines that start from it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from yandex.cloud.compute.v1 import image_service_pb2 as rpc
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot

from samovar.core.files import bytes_written
from samovar.localcloud.api.errors import invalid, precondition, unimplemented
from samovar.localcloud.compute.disks.model import SOURCE_DISK, check_stopped
from samovar.localcloud.compute.images.standard_images import FOLDER
from samovar.localcloud.home.home import Home
from samovar.localcloud.quota_manager.model import Quota
from samovar.localcloud.resources.model import Repository, check_status, require
from samovar.localcloud.store.files import delete_on_commit, name_on_commit, partial_of
from samovar.localcloud.store.store import Store

Fetch = Callable[[str, Path], bool]
"""`DiskBuilder.fetch`."""
STORED = re.compile(r"/storage/images/([0-9a-f]{12,64})\.raw")


class Images(Repository[Image]):
    """The images of users and the public ones."""

    kind, id_prefix = Image, "fd8"
    count_quota = Quota("compute.images.count", Image, 32, lambda image: image.folder_id != FOLDER)

    def __init__(self, store: Store, home: Home, fetch: Fetch) -> None:
        super().__init__(store)
        self._home = home
        self._fetch = fetch

    def delete(self, resource_id: str) -> None:
        """Delete an image, and its file once that is committed.

        Yandex Cloud copies an image into a disk; here disks are layers on it, so one in use stays.
        """
        if disks := [disk.id for disk in self.store.all(Disk) if disk.source_image_id == resource_id]:
            raise precondition(f"Image {resource_id} is the base of the disk {disks[0]}")
        super().delete(resource_id)
        delete_on_commit(self.store, self._home.image(resource_id))

    def use_disk(self, image: Image, disk_id: str) -> None:
        """Store an image that the disk controller makes from a disk, which takes seconds."""
        disk = require(self.store, Disk, disk_id)
        check_stopped(self.store, disk)
        image.status = Image.CREATING
        image.min_disk_size = image.size = max(image.min_disk_size, disk.size)
        self.put(image)
        self.store.note(image.id, SOURCE_DISK, disk.id)

    def use_file(self, image: Image, request: rpc.CreateImageRequest) -> None:
        """Store an image whose file is there: it gets a second name, or is the upload itself."""
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
        image.storage_size = bytes_written(origin)
        image.min_disk_size = max(image.min_disk_size, origin.stat().st_size)
        image.size = image.min_disk_size
        self.put(image)

    def _taken(self, image: Image, snapshot_id: str) -> Path:
        """Return the file of a snapshot; a disk made from the image is as large as the snapshot's was."""
        snapshot = require(self.store, Snapshot, snapshot_id)
        check_status(snapshot, Snapshot.READY)
        image.min_disk_size = max(image.min_disk_size, snapshot.disk_size)
        return self._home.snapshot(snapshot.id)

    def _uploaded(self, uri: str) -> Path:
        stored = STORED.fullmatch(urlsplit(uri).path)
        name = stored[1] if stored else hashlib.sha256(uri.encode()).hexdigest()
        path = self._home.uploads / f"{name}.raw"
        if not path.exists() and not self._fetch(uri, path):
            raise invalid(
                f"{uri} is not in this cloud's storage; put the RAW file to /storage/images/<digest>.raw first", "uri"
            )
        return path
