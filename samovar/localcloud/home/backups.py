"""Backups of the store: a consistent copy is made at each start of the daemon, and the last ones are kept."""

from __future__ import annotations

import filecmp
import shlex
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from samovar.core.errors import HostError
from samovar.core.files import PRIVATE, move_into_place
from samovar.localcloud import clock
from samovar.localcloud.store.store import Store

KEPT = 10
STAMP = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True)
class Backups:
    """A folder of the home; the time of a backup, in UTC, is in its name. They hold secrets, as the store does."""

    folder: Path

    def all(self) -> list[Path]:
        """List the backups, the oldest first."""
        return sorted(self.folder.glob("cloud-*.sqlite"))

    def make(self, store: Store) -> str:
        """Copy the store, unless nothing in it has changed since the last time; only the last ones are kept.

        Returns a warning where no copy could be made, else nothing: that is no reason not to start.
        """
        try:
            self._keep(self._copy(store))
        except (OSError, sqlite3.Error) as error:
            return f"no backup of the store was made in {self.folder}: {error}; make room there, then start again"
        return ""

    def restore_command(self, database: Path) -> str:
        """Return the command that restores the newest backup, as the text of a remedy."""
        if not (backups := self.all()):
            return f"put a backup of your own in its place (there is none in {self.folder})"
        file, log, shared = (shlex.quote(f"{database}{end}") for end in ("", "-wal", "-shm"))
        return (
            f"put the newest backup in its place: mv {file} {file}.broken; rm -f {log} {shared}; "
            f"cp --preserve=mode {shlex.quote(str(backups[-1]))} {file}"
        )

    def _copy(self, store: Store) -> Path:
        for left in self.folder.glob("cloud.new*"):
            left.unlink()
        partial = self.folder / "cloud.new"
        partial.touch(mode=PRIVATE)
        store.copy_to(partial)
        return partial

    def _keep(self, partial: Path) -> None:
        last = self.all()[-1:]
        if last and filecmp.cmp(partial, last[0], shallow=False):
            partial.unlink()
            return
        move_into_place(partial, self.folder / f"cloud-{self._later_than(last):{STAMP}}.sqlite")
        for old in self.all()[:-KEPT]:
            old.unlink()

    def _later_than(self, last: list[Path]) -> datetime:
        """Return now, or just after the last backup where the clock was set back: the newest is the last by name."""
        now = clock.utc_now()
        if not last:
            return now
        previous = datetime.strptime(last[0].stem, f"cloud-{STAMP}").replace(tzinfo=UTC)
        return max(now, previous + timedelta(microseconds=1))


def open_store(database: Path, backups: Backups) -> Store:
    """Open the store. Raises HostError with the command that restores a backup where the file is damaged."""
    try:
        store = Store(database)
        damage = store.damage()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise _damaged(database, backups, str(error)) from error
        raise HostError(
            f"the store {database} cannot be opened: {error}", remedy="see that its disk is writable and not full"
        ) from error
    if damage:
        store.close()
        raise _damaged(database, backups, damage)
    return store


def _damaged(database: Path, backups: Backups, damage: str) -> HostError:
    return HostError(f"the store {database} is damaged: {damage}", remedy=backups.restore_command(database))
