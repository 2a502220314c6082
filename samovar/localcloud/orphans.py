"""Brings the home's files in line with the store, once, before the first call of the API is answered.

A daemon can be killed, and a store can be lost or put back from a backup. What the store says is to be deleted is
deleted, and what it says is there gets its name; a file that it does not know is never deleted.
"""

from __future__ import annotations

import re
from pathlib import Path

import structlog
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.image_pb2 import Image

from samovar.core.errors import HostError
from samovar.localcloud.home import Home
from samovar.localcloud.quarantine import Quarantine
from samovar.localcloud.store.backups import Backups
from samovar.localcloud.store.files import finish_creation, finish_deletions
from samovar.localcloud.store.ids import LENGTH
from samovar.localcloud.store.store import Store

log = structlog.get_logger(__name__)

FILE = re.compile(rf"[a-z0-9]{{3}}[0-9a-v]{{{LENGTH}}}\.raw")
"""The names that this cloud gives to disks and images: all else in their folders is somebody else's."""
PARTIAL = re.compile(rf"[a-z0-9]{{3}}[0-9a-v]{{{LENGTH}}}(\.raw|\.uncommitted)?\.new")
SHOWN = 3


def settle_files(home: Home, store: Store) -> None:
    """Raises HostError where the store is empty and the disks are not: nothing is touched then."""
    finish_deletions(store, home.root)
    _refuse_an_empty_store(home, store)
    for folder, kind in ((home.disks, Disk), (home.images, Image)):
        for resource in store.all(kind):
            finish_creation(folder / f"{resource.id}.raw")
        _settle(home, folder, {f"{resource.id}.raw" for resource in store.all(kind)})
    for partial in (*home.uploads.glob("*.new"), *home.root.glob("*.new"), *home.pki.glob("*.new")):
        _delete_partial(partial)


def _refuse_an_empty_store(home: Home, store: Store) -> None:
    disks = sorted(file.name for file in _files(home.disks) if FILE.fullmatch(file.name))
    if not disks or store.all(Disk):
        return
    shown = ", ".join(disks[:SHOWN]) + (", ..." if len(disks) > SHOWN else "")
    raise HostError(
        f"{home.database} knows no disk, but {home.disks} holds {len(disks)} ({shown}): the store was lost",
        remedy=f"{Backups(home.backups).way_back(home.database)}; "
        f"or, if these disks are not to be used again: mv {home.disks} {home.disks}.old",
    )


def _settle(home: Home, folder: Path, known: set[str]) -> None:
    for file in _files(folder):
        if PARTIAL.fullmatch(file.name):
            _delete_partial(file)
        elif FILE.fullmatch(file.name) and file.name not in known:
            Quarantine(home.quarantine).move(file)


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.is_file() and not file.is_symlink()]


def _delete_partial(file: Path) -> None:
    log.info("left half-written by a daemon that was killed", file=str(file))
    file.unlink(missing_ok=True)
