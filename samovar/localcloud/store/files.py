"""Files that come and go with rows of the store: a daemon that is killed in between leaves the rest to the next one.

A new file has its name only once its row is stored for good, and a deleted one goes only after its row. That it is to
go stands in the store until it is gone, so that no file is ever deleted because the store does not know it.
"""

from __future__ import annotations

from pathlib import Path

from samovar.localcloud.store.store import NoteKey, Store

TO_DELETE = NoteKey[str]("file.delete")
"""A note on a resource that was deleted: the path of its file, relative to the home."""


def partial_of(file: Path) -> Path:
    """Return the path at which a file is made before it gets its name."""
    return file.with_suffix(".uncommitted.new")


def name_on_commit(store: Store, file: Path) -> None:
    """Give the new file at `partial_of(file)` its name when the transaction ends well, and delete it otherwise."""
    store.after_rollback(lambda: partial_of(file).unlink(missing_ok=True))
    store.after_commit(lambda: finish_creation(file))


def finish_creation(file: Path) -> None:
    """Name the file of a stored resource where a daemon was killed just before it did."""
    partial = partial_of(file)
    if partial.exists() and not file.exists():
        partial.replace(file)


def delete_on_commit(store: Store, file: Path) -> None:
    """Delete the file of a resource when the transaction, which deletes that, ends well."""
    store.note(file.stem, TO_DELETE, f"{file.parent.name}/{file.name}")
    store.after_commit(lambda: _delete(store, file))


def finish_deletions(store: Store, home: Path) -> None:
    """Delete the files that a killed daemon left to be deleted."""
    for path in store.all_noted(TO_DELETE).values():
        _delete(store, home / path)


def _delete(store: Store, file: Path) -> None:
    file.unlink(missing_ok=True)
    store.forget(file.stem, TO_DELETE)
