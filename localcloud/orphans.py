"""Files in the home that nothing refers to: a daemon was killed after it had made them, and before it said so."""

from __future__ import annotations

from pathlib import Path

import structlog
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.image_pb2 import Image

from localcloud.home import Home
from localcloud.store.store import Store, Stored

log = structlog.get_logger(__name__)


def drop_orphans(home: Home, store: Store) -> None:
    """To be called before the first call of the API is answered; a machine that runs has its disk in the store."""
    _drop(home.disks, store, Disk)
    _drop(home.images, store, Image)
    for partial in home.uploads.glob("*.new"):
        _remove(partial)


def _drop(folder: Path, store: Store, kind: type[Stored]) -> None:
    for file in folder.iterdir():
        if file.suffix != ".raw" or store.get(kind, file.stem) is None:
            _remove(file)


def _remove(file: Path) -> None:
    log.info("left behind by a daemon that was killed", file=str(file))
    file.unlink()
