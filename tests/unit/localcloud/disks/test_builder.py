from __future__ import annotations

import os
from pathlib import Path

import pytest

from samovar.localcloud.disks.builder import HostDiskBuilder


async def test_a_copy_has_its_name_once_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    observed: list[tuple[str, bool]] = []
    source, out = tmp_path / "source", tmp_path / "out.raw"
    source.write_bytes(b"rows" + bytes(1 << 20))

    def sync(descriptor: int) -> None:
        observed.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), out.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    await HostDiskBuilder().copy(source, out, 8 << 20)
    assert observed == [(str(tmp_path / "out.new"), False), (str(tmp_path), True)]
    assert (out.stat().st_size, out.read_bytes()[:4]) == (8 << 20, b"rows")
