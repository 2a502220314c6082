"""The store: resources by kind and id, in one SQLite file with a write-ahead log.

A call of the API is one transaction, so that the daemon can be killed at any point and what is found again is whole.
Beside a resource stand its notes: small JSON values that the API has no field for.
"""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar, overload

from google.protobuf.descriptor import Descriptor

from samovar.localcloud.store.version import mark, refuse_later

SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (
    kind TEXT NOT NULL, id TEXT NOT NULL, scope TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS resource_by_name ON resource (kind, scope, name);
CREATE TABLE IF NOT EXISTS note (
    id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (id, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS note_by_key ON note (key, id);
CREATE TABLE IF NOT EXISTS expiry (id TEXT NOT NULL PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS expiry_by_time ON expiry (at);
"""

PUT = """
INSERT INTO resource VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET scope = excluded.scope, name = excluded.name, data = excluded.data
WHERE data != excluded.data OR name != excluded.name
"""


def is_full(error: BaseException) -> bool:
    """Return whether a call, of the store or of the system, failed because no space is left on the disk."""
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


class Stored(Protocol):
    """A message of the API that is a resource: it has an id."""

    DESCRIPTOR: Descriptor
    id: str

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes: ...  # noqa: N802 - protobuf's name

    @classmethod
    def FromString(cls, s: bytes, /) -> Self: ...  # noqa: N802 - protobuf's name


Cell = str | float | bytes
Touched = Callable[[str, str], None]
R = TypeVar("R", bound=Stored)
T = TypeVar("T")


@dataclass(frozen=True)
class NoteKey(Generic[T]):
    """The key of a note. Its type is that of the notes, which are put and read by this key alone, as JSON has them."""

    name: str


def kind_of(kind: type[Stored]) -> str:
    """Return the full name of a message class, by which kinds are stored."""
    return str(kind.DESCRIPTOR.full_name)


def names(path: Path, kind: type[Stored]) -> dict[str, str]:
    """Return the name of each resource of a kind by its id, beside a daemon that writes, and change nothing."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        return dict(database.execute("SELECT id, name FROM resource WHERE kind = ?", (kind_of(kind),)))


class Store:
    """Used from the daemon's loop alone. Reads give fresh copies; what is put is copied."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)  # before SQLite makes it: the log that it keeps beside it gets the same mode
        self._db = sqlite3.connect(path, isolation_level=None)
        refuse_later(self._db, path)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(SCHEMA)
        mark(self._db)
        self._depth = 0
        self._dirty = False
        self.revision = 0
        """Grows with each transaction that changed something: what was read at the same one is still so."""
        self._listeners: list[Callable[[], None]] = []
        self._on_delete: list[Callable[[Stored], None]] = []
        self._on_touch: list[Touched] = []
        self._after: list[Callable[[], None]] = []
        self._undo: list[Callable[[], None]] = []

    def close(self) -> None:
        self._db.close()

    def damage(self) -> str:
        """Return what SQLite finds wrong with the file; empty where it is intact."""
        (result,) = self._read("PRAGMA quick_check(1)", ())[0]
        return "" if result == "ok" else str(result)

    def copy_to(self, path: Path) -> None:
        """Write what is committed now into a database of its own, which must be new or empty."""
        with closing(sqlite3.connect(path)) as copy:
            self._db.backup(copy)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each transaction that changed something."""
        self._listeners.append(listener)

    def on_delete(self, listener: Callable[[Stored], None]) -> None:
        """Call `listener` with each resource that is about to be deleted."""
        self._on_delete.append(listener)

    def on_touch(self, listener: Touched) -> None:
        """Call `listener` with kind and id of each resource that is put or deleted, and of each whose change is undone.

        It is called within the transaction, and reads what stands in it.
        """
        self._on_touch.append(listener)

    def after_commit(self, act: Callable[[], None]) -> None:
        """Run `act`, which cannot be undone (such as the deletion of a file), once the transaction is stored."""
        self._after.append(act)

    def after_rollback(self, act: Callable[[], None]) -> None:
        """Run `act` unless the transaction ends well: it undoes what is outside of the store, such as a new file."""
        self._undo.append(act)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. One inside another may fail by itself, and ends for good with the outer one."""
        if self._depth:
            with self._nested("SAVEPOINT nested", "RELEASE nested", "ROLLBACK TO nested"):
                yield
            return
        self._dirty = False
        with self._nested("BEGIN", "COMMIT", "ROLLBACK"):
            yield
        self.revision += self._dirty
        acts, self._after, self._undo = self._after, [], []
        for act in (*acts, *(self._listeners if self._dirty else ())):
            act()

    @contextmanager
    def _nested(self, begin: str, end: str, undo: str) -> Iterator[None]:
        self._db.execute(begin)
        self._depth += 1
        pending, undone = len(self._after), len(self._undo)
        try:
            yield
            self._db.execute(end)
        except BaseException:
            del self._after[pending:]
            if self._db.in_transaction:  # SQLite itself rolls back what finds no space
                self._db.execute(undo)
            while len(self._undo) > undone:
                self._undo.pop()()
            raise
        finally:
            self._depth -= 1

    def put(self, resource: Stored, *, scope: str = "") -> None:
        """Store a resource; an unchanged one is no change.

        `scope` is where its name is unique: its folder unless another is given.
        """
        name = getattr(resource, "name", "")
        row = (
            kind_of(type(resource)),
            resource.id,
            scope or getattr(resource, "folder_id", ""),
            name,
            resource.SerializeToString(deterministic=True),
        )
        self._write(PUT, row, touches=row[:2])

    def get(self, kind: type[R], resource_id: str) -> R | None:
        rows = self._read("SELECT data FROM resource WHERE kind = ? AND id = ?", (kind_of(kind), resource_id))
        return kind.FromString(rows[0][0]) if rows else None

    def must(self, kind: type[R], resource_id: str) -> R:
        """Return a resource whose id the store itself holds; KeyError is a defect of ours."""
        resource = self.get(kind, resource_id)
        if resource is None:
            raise KeyError(f"{kind_of(kind)} {resource_id}")
        return resource

    def all(self, kind: type[R], *, scope: str | None = None, name: str | None = None) -> list[R]:
        """Return the resources of a kind in the order of their ids, of one scope or one name where that is given."""
        query, values = "SELECT data FROM resource WHERE kind = ?", [kind_of(kind)]
        for column, value in (("scope", scope), ("name", name)):
            if value is not None:
                query += f" AND {column} = ?"
                values.append(value)
        return [kind.FromString(row[0]) for row in self._read(f"{query} ORDER BY id", tuple(values))]

    def delete(self, kind: type[Stored], resource_id: str) -> None:
        """Delete a resource and its notes."""
        if self._on_delete and (resource := self.get(kind, resource_id)) is not None:
            for listener in self._on_delete:
                listener(resource)
        row = kind_of(kind), resource_id
        self._write("DELETE FROM resource WHERE kind = ? AND id = ?", row, touches=row)
        self._write("DELETE FROM note WHERE id = ?", (resource_id,))

    def expire(self, resource_id: str, at: float) -> None:
        """Let a resource, or the notes of an id that is none, be deleted from then on (seconds since 1970)."""
        self._write("INSERT OR REPLACE INTO expiry VALUES (?, ?)", (resource_id, at))

    def drop_expired(self, kind: type[Stored], now: float, limit: int) -> int:
        """Delete at most `limit` of those of that kind, and of ids that are no resources, whose time has come."""
        ids = self._read("SELECT id FROM expiry WHERE at <= ? ORDER BY at LIMIT ?", (now, limit))
        if ids:
            with self.transaction():
                for (resource_id,) in ids:
                    self.delete(kind, resource_id)
                    self._write("DELETE FROM expiry WHERE id = ?", (resource_id,))
        return len(ids)

    def ids(self, kind: type[Stored]) -> list[str]:
        """Return the ids of all resources of a kind."""
        return [row[0] for row in self._read("SELECT id FROM resource WHERE kind = ?", (kind_of(kind),))]

    def ids_in(self, scope: str) -> list[str]:
        """Return the ids of the resources of every kind in a scope."""
        return [row[0] for row in self._read("SELECT id FROM resource WHERE scope = ? ORDER BY id", (scope,))]

    def note(self, resource_id: str, key: NoteKey[T], value: T) -> None:
        if self.noted(resource_id, key) != value:
            self._write("INSERT OR REPLACE INTO note VALUES (?, ?, ?)", (resource_id, key.name, json.dumps(value)))

    @overload
    def noted(self, resource_id: str, key: NoteKey[T]) -> T | None: ...

    @overload
    def noted(self, resource_id: str, key: NoteKey[T], default: T) -> T: ...

    def noted(self, resource_id: str, key: NoteKey[T], default: T | None = None) -> T | None:
        """Return a note, or `default` where the resource has none of that key."""
        rows = self._read("SELECT value FROM note WHERE id = ? AND key = ?", (resource_id, key.name))
        note: T | None = json.loads(rows[0][0]) if rows else default
        return note

    def must_note(self, resource_id: str, key: NoteKey[T]) -> T:
        """Return a note that was put with the resource; KeyError is a defect of ours."""
        note = self.noted(resource_id, key)
        if note is None:
            raise KeyError(f"{key.name} of {resource_id}")
        return note

    def all_noted(self, key: NoteKey[T]) -> dict[str, T]:
        """Return every resource's note of that key, by resource id."""
        return {
            row[0]: json.loads(row[1]) for row in self._read("SELECT id, value FROM note WHERE key = ?", (key.name,))
        }

    def ids_noted(self, key: NoteKey[T], value: T) -> list[str]:
        """Return the ids whose note of that key has that value."""
        rows = self._read("SELECT id FROM note WHERE key = ? AND value = ?", (key.name, json.dumps(value)))
        return [row[0] for row in rows]

    def forget(self, resource_id: str, key: NoteKey[T]) -> None:
        self._write("DELETE FROM note WHERE id = ? AND key = ?", (resource_id, key.name))

    def _read(self, query: str, values: tuple[Cell, ...]) -> list[Any]:
        """Return rows, whose types are those of the table's columns."""
        return self._db.execute(query, values).fetchall()

    def _write(self, query: str, values: tuple[Cell, ...], *, touches: tuple[str, str] | None = None) -> None:
        """Execute one statement, which changes rows; `touches` are kind and id of the resource that they are."""
        with nullcontext() if self._depth else self.transaction():
            if not self._db.execute(query, values).rowcount:
                return
            self._dirty = True
            if touches:
                self._touch(*touches)
                self.after_rollback(partial(self._touch, *touches))

    def _touch(self, kind: str, resource_id: str) -> None:
        for listener in self._on_touch:
            listener(kind, resource_id)
