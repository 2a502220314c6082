from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from samovar.core.files import bytes_written, write_private


def test_a_private_file_is_never_open_to_others_even_in_place_of_an_open_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    sync = os.fsync

    def observed(descriptor: int) -> None:
        modes.extend(stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir() if file.suffix == ".new")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", observed)
    file = tmp_path / "token"
    file.write_text("old")
    file.chmod(0o644)
    before = os.umask(0)
    try:
        write_private(file, "new")
    finally:
        os.umask(before)
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", 0o600)
    assert modes == [0o600]


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "token"
    write_private(file, b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(file, b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("token", b"old")]


def test_content_and_name_are_synced_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink().suffix))
    write_private(tmp_path / "token", "x")
    assert synced == [".new", ""]


def test_a_sparse_file_takes_fewer_bytes_than_its_size_and_one_that_is_missing_takes_none(tmp_path: Path) -> None:
    file = tmp_path / "disk.raw"
    assert bytes_written(file) == 0
    with file.open("wb") as disk:
        disk.write(b"x" * 4096)
        disk.truncate(1 << 30)
    assert 4096 <= bytes_written(file) < 1 << 20
