"""The cache keeps a number of the entries used last, or those used within a time."""

from __future__ import annotations

import os
import time
from pathlib import Path

from samovar.core.cache import UNUSED_DAYS, keep_latest, keep_used, mark_used

DAY = 86400


def used(path: Path, days_ago: float, *, read_days_ago: float = 1000) -> Path:
    path.touch()
    os.utime(path, (time.time() - read_days_ago * DAY, time.time() - days_ago * DAY))
    return path


def test_those_that_were_used_last_stay(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").touch()
    folder = used(tmp_path / "folder", 4)
    old, older, new = (used(tmp_path / name, days) for name, days in (("old", 2), ("older", 3), ("new", 1)))
    mark_used(older)
    assert [*keep_latest(tmp_path.iterdir(), 2)] == [folder, old]
    assert {*tmp_path.iterdir()} == {older, new}


def test_entries_that_were_not_used_for_long_are_deleted(tmp_path: Path) -> None:
    kept = used(tmp_path / "kept", UNUSED_DAYS - 1)
    read = used(tmp_path / "read", UNUSED_DAYS + 1, read_days_ago=1)
    unused, marked = used(tmp_path / "gone", UNUSED_DAYS + 1), used(tmp_path / "marked", UNUSED_DAYS + 1)
    mark_used(marked)
    keep_used([*tmp_path.iterdir(), tmp_path / "removed by another process"])
    assert {*tmp_path.iterdir()} == {kept, read, marked}
    assert not unused.exists()
