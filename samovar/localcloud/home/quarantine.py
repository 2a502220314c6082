"""Files that the store does not have are moved to the quarantine, and never deleted.

A daemon can be killed, and a store can be lost or restored from a backup. So once, before the first call of the API is
answered, the home's files are compared with the store: what it notes as to be deleted is deleted, what it has gets its
name, and any other disk, image or snapshot is put aside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot

from samovar.core.constants import GIB, MIB
from samovar.core.errors import HostError
from samovar.core.files import bytes_written, sync_folder
from samovar.localcloud import clock
from samovar.localcloud.home.backups import Backups
from samovar.localcloud.home.home import Home
from samovar.localcloud.store.files import finish_creation, finish_deletions
from samovar.localcloud.store.ids import LENGTH
from samovar.localcloud.store.store import Store

log = structlog.get_logger(__name__)


FILE = re.compile(rf"[a-z0-9]{{3}}[0-9a-v]{{{LENGTH}}}\.raw")
"""The names that this cloud gives to disks, images and snapshots: all else in their folders is an operator's."""
PARTIAL = re.compile(rf"[a-z0-9]{{3}}[0-9a-v]{{{LENGTH}}}(\.raw|\.uncommitted|\.layer)?\.new")
LISTED = 3


@dataclass(frozen=True)
class Quarantine:
    """A folder of the home: `<time>/<disks or images>/<id>.raw`."""

    root: Path

    def move(self, file: Path) -> Path:
        """Take `file` out of the folder that the store governs. HostError where it cannot be moved."""
        target = self.root / clock.utc_now().strftime("%Y%m%dT%H%M%SZ") / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            file.rename(target)
        except OSError as error:
            raise HostError(
                f"{file} is unknown to the store and cannot be moved to {target}: {error.strerror}",
                remedy="move it there by hand, and start the local cloud again",
            ) from error
        sync_folder(target.parent)
        log.warning("moved to the quarantine: the store does not know it", file=str(file), target=str(target))
        return target

    def warnings(self) -> tuple[str, ...]:
        """Return a text for each file in the quarantine."""
        return tuple(_warning(file) for file in sorted(self.root.glob("*/*/*.raw")))


def _warning(file: Path) -> str:
    kind = file.parent.name.removesuffix("s")
    return (
        f"{file} ({file.stat().st_size / GIB:.2f} GiB, {bytes_written(file) / MIB:.0f} MiB of it written): "
        f"the store does not know this {kind}, so it was put aside; "
        "docs/operations.md says how to use it again, and once it is moved or deleted this warning ends"
    )


def adopt_files(home: Home, store: Store) -> None:
    """Compare files and store. Raises HostError and touches nothing where the store is empty and disks are there."""
    finish_deletions(store, home.root)
    _refuse_an_empty_store(home, home.disks, store.all(Disk))
    _refuse_an_empty_store(home, home.snapshots, store.all(Snapshot))
    for folder, kind in ((home.disks, Disk), (home.images, Image), (home.snapshots, Snapshot)):
        for resource in store.all(kind):
            finish_creation(folder / f"{resource.id}.raw")
        _adopt(home, folder, {f"{resource.id}.raw" for resource in store.all(kind)})
    for partial in (*home.uploads.glob("*.new"), *home.root.glob("*.new"), *home.pki.glob("*.new")):
        _delete_partial(partial)


def _refuse_an_empty_store(home: Home, folder: Path, resources: Sequence[object]) -> None:
    """Refuse a lost store where it would cost what an operator cannot make anew: disks and snapshots."""
    files = sorted(file.name for file in _files(folder) if FILE.fullmatch(file.name))
    if not files or resources:
        return
    kind = folder.name.removesuffix("s")
    shown = ", ".join(files[:LISTED]) + (", ..." if len(files) > LISTED else "")
    raise HostError(
        f"{home.database} knows no {kind}, but {folder} holds {len(files)} ({shown}): the store was lost",
        remedy=f"{Backups(home.backups).restore_command(home.database)}; "
        f"or, if these {kind}s are not to be used again: mv {folder} {folder}.old",
    )


def _adopt(home: Home, folder: Path, names: set[str]) -> None:
    for file in _files(folder):
        if PARTIAL.fullmatch(file.name):
            _delete_partial(file)
        elif FILE.fullmatch(file.name) and file.name not in names:
            Quarantine(home.quarantine).move(file)


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.is_file() and not file.is_symlink()]


def _delete_partial(file: Path) -> None:
    log.info("left half-written by a daemon that was killed", file=str(file))
    file.unlink(missing_ok=True)
