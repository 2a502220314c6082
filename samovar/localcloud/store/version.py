"""The version of what stands in a store: a daemon refuses one of a later version, which it would misread."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from samovar.core.errors import HostError

VERSION = 1
"""What a former daemon would misread gets the next number. The first stores had none, which SQLite shows as 0."""


def refuse_later(database: sqlite3.Connection, path: Path) -> None:
    """Raise HostError where a later version of Samovar has written the store; write nothing."""
    if (version := _version(database)) > VERSION:
        database.close()
        raise HostError(
            f"the store {path} is of version {version}, and this version of Samovar knows {VERSION} at most",
            remedy="use the version of Samovar that wrote it, or a later one: this one would misread it",
        )


def mark(database: sqlite3.Connection) -> None:
    """Note this version in the store, unless it is there: a store that did not change is the same file."""
    if _version(database) != VERSION:
        database.execute(f"PRAGMA user_version = {VERSION}")


def _version(database: sqlite3.Connection) -> int:
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    return version
