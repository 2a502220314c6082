"""Brings snapshots that are CREATING to READY: their files are copied while nothing is written to the disk.

A daemon that is killed meanwhile leaves a snapshot that is CREATING; the next one begins anew.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import structlog
from google.protobuf.message import Message
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot

from samovar.core.errors import HostError
from samovar.core.files import bytes_written
from samovar.localcloud.compute.disks.controller import DiskController, file_outcome
from samovar.localcloud.compute.disks.model import is_layered
from samovar.localcloud.compute.snapshots.model import TITLE, remember_freeze
from samovar.localcloud.disks.freeze import FreezeFailed
from samovar.localcloud.disks.model import DiskBuilder
from samovar.localcloud.home.home import Home
from samovar.localcloud.machines.model import MachineDriver
from samovar.localcloud.operations.model import FAILURE_REASON, Goal, Operations
from samovar.localcloud.reconcile import Workers, reason_of
from samovar.localcloud.store.store import NoteKey, Store

log = structlog.get_logger(__name__)

ATTEMPTS = 3
"""A machine that starts or stops while its disk is copied makes one of them fail."""
FREEZING = NoteKey[str]("snapshot.freezing")
"""A note on a snapshot: the machine whose disk is frozen. One that is there already is a killed daemon's."""


class SnapshotController:
    """The controller has one worker a snapshot."""

    def __init__(
        self,
        store: Store,
        home: Home,
        operations: Operations,
        builder: DiskBuilder,
        driver: MachineDriver,
        disks: DiskController,
        workers: Workers,
    ) -> None:
        self._store = store
        self._home = home
        self._operations = operations
        self._builder = builder
        self._driver = driver
        self._disks = disks
        self._workers = workers

    async def reconcile(self) -> None:
        for snapshot in self._store.all(Snapshot):
            if snapshot.status == Snapshot.CREATING and not self._workers.busy(snapshot.id):
                self._workers.start(snapshot.id, partial(self._create, snapshot))

    def outcome(self, _: Goal, snapshot_id: str) -> Message | None:
        """Return the outcome of an operation that waits for a snapshot."""
        return file_outcome(self._store, Snapshot, snapshot_id)

    async def _create(self, snapshot: Snapshot) -> None:
        out, status = self._home.snapshot(snapshot.id), Snapshot.READY
        try:
            if not out.exists():
                await self._take(snapshot, out)
        except Exception as error:  # the operation that waits for the snapshot ends with it
            log.exception("a snapshot could not be taken", snapshot=snapshot.id)
            self._store.note(snapshot.id, FAILURE_REASON, reason_of(error))
            status = Snapshot.ERROR
        with self._store.transaction():
            snapshot = self._store.must(Snapshot, snapshot.id)
            snapshot.status = status
            snapshot.storage_size = bytes_written(out)
            self._store.put(snapshot)
            self._store.forget(snapshot.id, FREEZING)

    async def _take(self, snapshot: Snapshot, out: Path) -> None:
        disk = self._store.get(Disk, snapshot.source_disk_id)
        if disk is None:
            raise HostError(f"the disk {snapshot.source_disk_id} was deleted")
        self._thaw(snapshot, disk)
        if not is_layered(self._store, disk):
            await self._copied(snapshot, await self._disks.full_copy(disk), out)
        elif self._home.disk(disk.id).exists():
            layer = out.with_suffix(".layer.new")
            await self._copied(snapshot, self._home.disk(disk.id), layer)
            await self._builder.merge(await self._disks.base(disk), layer, out)
            layer.unlink()
        else:
            os.link(await self._disks.base(disk), out)

    async def _copied(self, snapshot: Snapshot, source: Path, out: Path) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._copied_once(snapshot, source, out)
            except FreezeFailed as error:
                log.warning("a disk did not stand still", snapshot=snapshot.id, attempt=attempt, error=str(error))
                if attempt == ATTEMPTS:
                    raise
        return None

    async def _copied_once(self, snapshot: Snapshot, source: Path, out: Path) -> None:
        """Copy the disk once. It looks its machine up anew, which may have been started or stopped meanwhile."""
        disk = self._store.must(Disk, snapshot.source_disk_id)
        machine_id = disk.instance_ids[0] if disk.instance_ids else ""
        self._store.note(snapshot.id, FREEZING, machine_id)
        seconds = await self._builder.copy_consistently(source, out, self._driver.frozen(machine_id, source))
        self._store.forget(snapshot.id, FREEZING)
        if seconds:
            remember_freeze(self._store, snapshot.storage_size, seconds)
            self._operations.describe(snapshot.id, f"{TITLE}: nothing was written to the disk for {seconds:.2f} s")
            log.info("took a snapshot", snapshot=snapshot.id, seconds=seconds)

    def _thaw(self, snapshot: Snapshot, disk: Disk) -> None:
        """Thaw a disk that a daemon froze which was killed."""
        if machine_id := self._store.noted(snapshot.id, FREEZING):
            self._driver.thaw(machine_id, self._home.disk(disk.id))
