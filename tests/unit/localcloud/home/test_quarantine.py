"""Files of the home that the store does not know: none of them is ever lost."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from yandex.cloud.compute.v1.disk_pb2 import Disk
from yandex.cloud.compute.v1.snapshot_pb2 import Snapshot

from samovar.core.errors import HostError
from samovar.localcloud.home.backups import KEPT, Backups, open_store
from samovar.localcloud.home.home import Home
from samovar.localcloud.home.quarantine import Quarantine, adopt_files
from samovar.localcloud.store.files import TO_DELETE, delete_on_commit, name_on_commit, partial_of
from samovar.localcloud.store.ids import new_id
from samovar.localcloud.store.store import Store
from samovar.localcloud.store.version import VERSION

ROWS = b"all rows of prod"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    created = Home(tmp_path / "home")
    created.make()
    return created


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with closing(Store(home.database)) as opened:
        yield opened


def disk(home: Home, store: Store) -> Path:
    """A disk that the store knows, and its file."""
    created = Disk(id=new_id("fhm"))
    store.put(created)
    home.disk(created.id).write_bytes(ROWS)
    return home.disk(created.id)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_an_empty_store_beside_disks_is_refused_and_nothing_is_touched(home: Home, store: Store) -> None:
    names = sorted(new_id("fhm") for _ in range(2))
    for name in names:
        home.disk(name).write_bytes(ROWS)
        home.image(name).write_bytes(b"image")
    (home.disks / f"{names[0]}.new").write_bytes(b"partial")
    before = contents(home.disks), contents(home.images)
    with pytest.raises(HostError) as refused:
        adopt_files(home, store)
    assert f"knows no disk, but {home.disks} holds 2 ({names[0]}.raw, {names[1]}.raw)" in refused.value.message
    assert f"mv {home.disks} {home.disks}.old" in refused.value.remedy
    assert (contents(home.disks), contents(home.images)) == before
    assert contents(home.quarantine) == {}
    home.disks.rename(home.root / "disks.old")
    home.make()
    adopt_files(home, store)
    assert len(contents(home.root / "disks.old")) == 3


def test_snapshots_are_kept_as_disks_are(home: Home, store: Store) -> None:
    name = new_id("fd8")
    home.snapshot(name).write_bytes(ROWS)
    with pytest.raises(HostError, match="knows no snapshot, but"):
        adopt_files(home, store)
    store.put(Snapshot(id="another"))
    for partial in (".new", ".raw.new", ".layer.new"):
        (home.snapshots / f"{name}{partial}").write_bytes(b"half")
    adopt_files(home, store)
    assert contents(home.snapshots) == {}
    assert list(contents(home.quarantine).values()) == [ROWS]


def test_files_that_the_store_lacks_are_quarantined(home: Home, store: Store) -> None:
    stored = disk(home, store)
    newer, image = home.disk(new_id("fhm")), home.image(new_id("fd8"))
    newer.write_bytes(ROWS)
    image.write_bytes(b"image")
    adopt_files(home, store)
    adopt_files(home, store)
    assert contents(home.disks) == {stored.name: ROWS}
    assert sorted(contents(home.quarantine).values()) == sorted([ROWS, b"image"])
    warnings = Quarantine(home.quarantine).warnings()
    (about,) = [warning for warning in warnings if newer.name in warning]
    assert "does not know this disk" in about
    assert "0.00 GiB" in about
    assert len(warnings) == 2
    shutil.rmtree(home.quarantine)
    assert Quarantine(home.quarantine).warnings() == ()


def test_foreign_files_are_kept_and_partial_ones_deleted(home: Home, store: Store) -> None:
    stored = disk(home, store)
    (home.disks / "backup").mkdir()
    (home.disks / "backup" / stored.name).write_bytes(ROWS)
    for foreign in (f"{stored.name}.bak", "copy.raw", "notes.new", f"{stored.stem}.qcow2"):
        (home.disks / foreign).write_bytes(b"foreign")
    before = contents(home.disks)
    for partial in (f"{stored.stem}.new", f"{new_id('fhm')}.uncommitted.new", f"{new_id('fd8')}.raw.new"):
        (home.disks / partial).write_bytes(b"half")
    adopt_files(home, store)
    assert contents(home.disks) == before
    assert contents(home.quarantine) == {}


def test_a_deletion_that_was_stored_is_finished_by_the_next_daemon(home: Home, store: Store) -> None:
    deleted = disk(home, store)
    with store.transaction():
        store.delete(Disk, deleted.stem)
        delete_on_commit(store, deleted)
        store._after.clear()  # the daemon is killed right after the commit
    assert deleted.exists()
    adopt_files(home, store)
    assert not deleted.exists()
    assert contents(home.quarantine) == {}
    assert store.all_noted(TO_DELETE) == {}


def test_a_deletion_that_was_not_stored_deletes_nothing(home: Home, store: Store) -> None:
    kept = disk(home, store)
    with suppress(KeyError), store.transaction():
        store.delete(Disk, kept.stem)
        delete_on_commit(store, kept)
        raise KeyError
    adopt_files(home, store)
    assert contents(home.disks) == {kept.name: ROWS}


@pytest.mark.parametrize("stored", [True, False])
def test_a_new_file_has_its_name_once_its_row_is_stored(home: Home, store: Store, *, stored: bool) -> None:
    created = disk(home, store)
    created.unlink()
    if not stored:
        store.delete(Disk, created.stem)
        disk(home, store)
    with store.transaction():
        name_on_commit(store, created)
        partial_of(created).write_bytes(ROWS)
        store._after.clear()  # the daemon is killed right after the commit, or before it
    adopt_files(home, store)
    assert created.exists() == stored
    assert not partial_of(created).exists()
    assert contents(home.quarantine) == {}


def test_backups_are_private_bounded_and_taken_after_changes_alone(home: Home, store: Store) -> None:
    backups = Backups(home.backups)
    for number in range(KEPT + 3):
        store.put(Disk(id=new_id("fhm"), name=str(number)))
        assert backups.make(store) == ""
        assert backups.make(store) == ""
    assert len(backups.all()) == KEPT
    assert {file.stat().st_mode & 0o777 for file in home.backups.iterdir()} == {0o600}
    assert sorted(home.backups.iterdir()) == backups.all()
    with closing(sqlite3.connect(backups.all()[-1])) as copy:
        assert copy.execute("SELECT count(*) FROM resource").fetchone() == (KEPT + 3,)


def test_a_backup_that_fails_is_a_warning(home: Home, store: Store) -> None:
    home.backups.rmdir()
    home.backups.write_bytes(b"")
    assert f"no backup of the store was made in {home.backups}" in Backups(home.backups).make(store)


@pytest.mark.parametrize("damage", ["not a database", "a page overwritten"])
def test_a_damaged_store_names_the_restore_command(home: Home, damage: str) -> None:
    backups = Backups(home.backups)
    with closing(Store(home.database)) as store:
        with store.transaction():
            for _ in range(200):
                disk(home, store)
        backups.make(store)
        disk(home, store)
    if damage == "not a database":
        home.database.write_bytes(b"x" * 10_000)
    else:
        with home.database.open("r+b") as file:
            file.seek(3 * 4096)
            file.write(b"\xff" * 8192)
    home.database.with_name("cloud.sqlite-wal").write_bytes(b"of another time")
    with pytest.raises(HostError, match="is damaged") as refused:
        open_store(home.database, backups)
    assert str(backups.all()[-1]) in refused.value.remedy
    subprocess.run(["bash", "-ec", refused.value.remedy.partition(": ")[2]], check=True)
    with closing(open_store(home.database, backups)) as store:
        assert len(store.all(Disk)) == 200
        adopt_files(home, store)
    assert home.database.stat().st_mode & 0o777 == 0o600
    assert len(contents(home.quarantine)) == 1


def test_a_store_of_a_later_version_is_refused_and_left_as_it_is(home: Home) -> None:
    Store(home.database).close()
    with closing(sqlite3.connect(home.database)) as later:
        later.execute(f"PRAGMA user_version = {VERSION + 1}")
        later.execute("PRAGMA wal_checkpoint")
    before = home.database.read_bytes()
    with pytest.raises(HostError, match=f"is of version {VERSION + 1}, and this version of Samovar knows {VERSION}"):
        open_store(home.database, Backups(home.backups))
    assert home.database.read_bytes() == before


def test_a_store_of_a_former_version_is_opened(home: Home) -> None:
    """Stores had no version at first."""
    Store(home.database).close()
    with closing(sqlite3.connect(home.database)) as former:
        former.execute("PRAGMA user_version = 0")
    open_store(home.database, Backups(home.backups)).close()
    with closing(sqlite3.connect(home.database)) as opened:
        assert opened.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_a_transaction_is_on_the_disk_when_it_ends(store: Store) -> None:
    """2 is FULL: the log is synced at each commit."""
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
