from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path

import pytest

from samovar.localcloud.disks.builder import HostDiskBuilder


async def test_a_public_image_that_no_cloud_used_for_long_leaves_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder, builder = tmp_path / "samovar/standard", HostDiskBuilder()

    def build(_: object, suite: str, lines: object, cached: Path) -> Awaitable[None]:
        assert lines
        cached.parent.mkdir(parents=True)
        cached.write_text(suite)
        return asyncio.sleep(0)

    monkeypatch.setattr(HostDiskBuilder, "_build", build)
    await builder.make_public_image("trixie", tmp_path / "first.raw")
    (cached,) = folder.iterdir()
    for file in (cached, folder / "trixie-before.raw"):
        file.touch()
        os.utime(file, (0, 0))
    await builder.make_public_image("trixie", tmp_path / "second.raw")
    assert [*folder.iterdir()] == [cached]
    assert (tmp_path / "second.raw").read_text() == "trixie"


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
