"""Makes the files of images and disks that are CREATING, and those of a machine before it starts."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from functools import partial
from pathlib import Path

import structlog
from google.protobuf.message import Message
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.image_pb2 import Image, Os
from yandex.cloud.compute.v1.instance_pb2 import Instance
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot

from samovar.core.errors import HostError, command_line
from samovar.core.files import bytes_written
from samovar.localcloud.compute.disks.model import SOURCE_DISK, has_base, is_layered
from samovar.localcloud.compute.images.standard_images import FAMILIES
from samovar.localcloud.disks.model import DiskBuilder
from samovar.localcloud.home.home import Home
from samovar.localcloud.operations.model import FAILURE_REASON, Goal, failed
from samovar.localcloud.reconcile import Repeats, Workers, reason_of
from samovar.localcloud.store.derived_values import Derived
from samovar.localcloud.store.store import Store

log = structlog.get_logger(__name__)

IMAGE_STATUS = Derived(Image, lambda image: image.status)
DISK_STATUS = Derived(Disk, lambda disk: disk.status)


class DiskController:
    """The controller makes each file once, and tries again on the next need where that failed."""

    def __init__(self, store: Store, home: Home, builder: DiskBuilder, workers: Workers) -> None:
        self._store = store
        self._home = home
        self._builder = builder
        self._workers = workers
        self._repeats = Repeats()
        self._at_rest = -1
        """The store's revision at which nothing was left to be made."""
        self._locks: defaultdict[Path, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def reconcile(self) -> None:
        if self._at_rest == self._store.revision:
            return
        images = [each for each, status in IMAGE_STATUS.of(self._store).items() if status == Image.CREATING]
        disks = [each for each, status in DISK_STATUS.of(self._store).items() if status == Disk.CREATING]
        if not images and not disks:
            self._at_rest = self._store.revision
        for image_id in images:
            if not self._workers.busy(image_id):
                self._workers.start(image_id, partial(self._create_image, image_id))
        for disk_id in disks:
            if not self._workers.busy(disk_id):
                self._workers.start(disk_id, partial(self._create_disk, disk_id))

    def disk_outcome(self, _: Goal, disk_id: str) -> Message | None:
        """Return the outcome of an operation that waits for a disk."""
        return file_outcome(self._store, Disk, disk_id)

    def image_outcome(self, _: Goal, image_id: str) -> Message | None:
        """Return the outcome of an operation that waits for an image."""
        return file_outcome(self._store, Image, image_id)

    async def ready_for(self, instance: Instance) -> None:
        """Raise SamovarError where one of the instance's disks cannot be had."""
        await self.base(self._store.must(Disk, instance.boot_disk.disk_id))
        for attached in instance.secondary_disks:
            await self.full_copy(self._store.must(Disk, attached.disk_id))

    def base_of(self, disk: Disk) -> Path:
        """Return the file of the image, or of the snapshot, that a disk was made from."""
        if disk.source_image_id:
            return self._home.image(disk.source_image_id)
        return self._home.snapshot(disk.source_snapshot_id)

    async def base(self, disk: Disk) -> Path:
        """Return the same once it is there; the file of a public image is made when it is first needed."""
        file = self.base_of(disk)
        async with self._locks[file]:
            if not file.exists():
                await self._builder.make_public_image(self._suite(disk.source_image_id, file), file)
        return file

    def _suite(self, image_id: str, file: Path) -> str:
        """Return the release that a public image is made from. Raises HostError where another file is gone."""
        if not image_id:
            raise HostError(f"the file that a disk was made from is gone: {file}", remedy="put it back")
        if image_id not in FAMILIES:
            image = self._store.get(Image, image_id)
            name = image.labels.get("image", image.name) if image else "IMAGE"
            raise HostError(
                f"the file of the image {image.name if image else image_id} is gone: {file}",
                remedy=f"put it back, or make the image anew and roll out: {command_line(f'bake {name} --force')}",
            )
        if FAMILIES[image_id].os != Os.LINUX:
            raise HostError(
                f"no machine of this host boots {FAMILIES[image_id].title}", remedy="choose an image of Linux"
            )
        return FAMILIES[image_id].suite

    async def full_copy(self, disk: Disk) -> Path:
        """Return the file of a disk that holds all of the image, or of the snapshot, that it was made from."""
        file = self._home.disk(disk.id)
        async with self._locks[file]:
            if file.exists():
                return file
            if disk.status == Disk.READY and not has_base(self._store, disk):
                raise HostError(
                    f"the file of disk {disk.id} is gone: {file}",
                    remedy="put it back (docs/operations.md: what the home of a local cloud holds), or delete the disk",
                )
            await self._builder.copy(await self.base(disk), file, disk.size)
        return file

    async def _create_disk(self, disk_id: str) -> None:
        disk = self._store.must(Disk, disk_id)
        status: Disk.Status.ValueType = Disk.READY
        try:
            await (self.base(disk) if is_layered(self._store, disk) else self.full_copy(disk))
        except Exception as error:  # noqa: BLE001 - the operation that waits for the file ends with it
            self._failed(disk_id, error)
            status = Disk.ERROR
        if (disk_now := self._store.get(Disk, disk_id)) is not None:
            disk_now.status = status
            self._store.put(disk_now)

    async def _create_image(self, image_id: str) -> None:
        file, status = self._home.image(image_id), Image.READY
        try:
            if not file.exists():
                await self._make_image(self._store.must(Disk, self._store.must_note(image_id, SOURCE_DISK)), file)
        except Exception as error:  # noqa: BLE001 - the operation that waits for the file ends with it
            self._failed(image_id, error)
            status = Image.ERROR
        image = self._store.must(Image, image_id)
        image.status, image.storage_size = status, bytes_written(file)
        self._store.put(image)

    async def _make_image(self, disk: Disk, out: Path) -> None:
        file = self._home.disk(disk.id)
        if not is_layered(self._store, disk):
            await self._builder.copy(await self.full_copy(disk), out)
        elif file.exists():
            await self._builder.merge(await self.base(disk), file, out)
        else:
            os.link(await self.base(disk), out)

    def _failed(self, resource_id: str, error: Exception) -> None:
        if self._repeats.is_new(error):
            log.error("a file could not be made", resource=resource_id, exc_info=error)
        self._store.note(resource_id, FAILURE_REASON, reason_of(error))


def file_outcome(store: Store, kind: type[Disk | Image | Snapshot], resource_id: str) -> Message | None:
    """Return the outcome of an operation that waits for the file of a disk, an image or a snapshot."""
    resource = store.get(kind, resource_id)
    if resource is None:
        return failed(f"{kind.__name__} {resource_id} was deleted")
    if resource.status == kind.ERROR:
        return failed(f"{kind.__name__} {resource_id} is ERROR. {store.noted(resource_id, FAILURE_REASON, '')}")
    return resource if resource.status == kind.READY else None
