"""Brings the home's files in line with the store, once, before the first call of the API is answered.

A daemon can be killed, and a store can be lost or put back from a backup. What the store says is to be deleted is
deleted, and what it says is there gets its name; a file that it does not know is never deleted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import structlog
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.image_pb2 import Image
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot

from samovar.core.errors import HostError
from samovar.localcloud.home import Home
from samovar.localcloud.quarantine import Quarantine
from samovar.localcloud.store.backups import Backups
from samovar.localcloud.store.files import finish_creation, finish_deletions
from samovar.localcloud.store.ids import LENGTH
from samovar.localcloud.store.store import Store

log = structlog.get_logger(__name__)

FILE = re.compile(rf"[a-z0-9]{{3}}[0-9a-v]{{{LENGTH}}}\.raw")
"""The names that this cloud gives to disks, images and snapshots: all else in their folders is somebody else's."""
PARTIAL = re.compile(rf"[a-z0-9]{{3}}[0-9a-v]{{{LENGTH}}}(\.raw|\.uncommitted|\.layer)?\.new")
SHOWN = 3


def settle_files(home: Home, store: Store) -> None:
    """Raises HostError where the store is empty and the disks are not: nothing is touched then."""
    finish_deletions(store, home.root)
    _refuse_an_empty_store(home, home.disks, store.all(Disk))
    _refuse_an_empty_store(home, home.snapshots, store.all(Snapshot))
    for folder, kind in ((home.disks, Disk), (home.images, Image), (home.snapshots, Snapshot)):
        for resource in store.all(kind):
            finish_creation(folder / f"{resource.id}.raw")
        _settle(home, folder, {f"{resource.id}.raw" for resource in store.all(kind)})
    for partial in (*home.uploads.glob("*.new"), *home.root.glob("*.new"), *home.pki.glob("*.new")):
        _delete_partial(partial)


def _refuse_an_empty_store(home: Home, folder: Path, known: Sequence[object]) -> None:
    """Of what an operator cannot have made anew: disks and snapshots."""
    files = sorted(file.name for file in _files(folder) if FILE.fullmatch(file.name))
    if not files or known:
        return
    kind = folder.name.removesuffix("s")
    shown = ", ".join(files[:SHOWN]) + (", ..." if len(files) > SHOWN else "")
    raise HostError(
        f"{home.database} knows no {kind}, but {folder} holds {len(files)} ({shown}): the store was lost",
        remedy=f"{Backups(home.backups).way_back(home.database)}; "
        f"or, if these {kind}s are not to be used again: mv {folder} {folder}.old",
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
