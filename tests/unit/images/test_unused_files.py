"""Files of the cache that nobody used for long are found, and go while no bake runs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from samovar.core.cache import UNUSED_DAYS, mark_used
from samovar.core.output import PlainReporter
from samovar.images.builders.local import find_baked
from samovar.images.definition import digests
from samovar.images.load import load_images
from samovar.images.store import default_store
from samovar.images.unused_files import remove_unused, unused_files
from tests.support.checkout import PROJECT

SHA256 = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "samovar"


def make(file: Path, days_ago: int = UNUSED_DAYS + 1) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}")
    os.utime(file, (time.time() - days_ago * 86400,) * 2)
    return file


def test_old_files_of_each_kind_are_removed_and_locks_and_new_ones_stay(cache: Path) -> None:
    old = [
        make(cache / name)
        for name in (
            f"applications/{SHA256}",
            "apt/archives/bash_1_amd64.deb",
            "images/gone-0.raw",
            "logs/bake-x.log",
            "templates/shop/x.cache",
        )
    ]
    packages = make(cache / "images/gone-0.json")
    kept = [
        make(cache / f"applications/{SHA256}.lock"),
        make(cache / "images/new-0.raw", UNUSED_DAYS - 1),
        make(cache / "images/new-0.json"),
        make(cache / "drills/journal.json"),
    ]
    assert unused_files() == tuple(sorted(old))
    remove_unused(unused_files(), PlainReporter())
    assert not any(file.exists() for file in (*old, packages))
    assert all(file.exists() for file in kept)


def test_a_file_used_after_it_was_listed_is_kept(cache: Path) -> None:
    file = make(cache / "standard/trixie-0.raw")
    files = unused_files()
    mark_used(file)
    remove_unused(files, PlainReporter())
    assert (files, file.exists()) == ((file,), True)


def test_an_image_that_a_bake_looks_for_counts_as_used() -> None:
    images, store = load_images(PROJECT), default_store()
    raw = store.raw("postgres", digests(images)["postgres"])
    make(raw.with_suffix(".json"))
    make(raw)
    assert unused_files() == (raw,)
    (baked,) = find_baked(images).values()
    assert (baked.name, baked.data_format) == ("postgres", "postgresql-17")
    assert unused_files() == ()
