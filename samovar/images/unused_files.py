"""Finds and removes files of the cache that nobody used for long: images, applications, packages, logs, templates."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from samovar.core.cache import is_unused, keep_used
from samovar.core.output import Reporter
from samovar.core.paths import cache_dir, require_own
from samovar.images.builders.base import bake_lock

PATTERNS = (
    "images/*.raw",
    "applications/*[0-9a-f]",
    "apt/archives/*.deb",
    "standard/*.raw",
    "logs/*.log",
    "templates/*/*.cache",
)
"""An application is named by its sha256; the lock beside it stays, for nobody knows who holds it."""


def unused_files() -> tuple[Path, ...]:
    """Return the files that can be removed, sorted: whatever needs one of them makes it again."""
    files = (file for pattern in PATTERNS for file in cache_dir().glob(pattern))
    return tuple(sorted(file for file in files if is_unused(file)))


def remove_unused(files: Iterable[Path], reporter: Reporter) -> None:
    """Remove those of the files that are still unused, while no bake runs, and the packages of images that went."""
    require_own(cache_dir())
    with bake_lock(cache_dir() / "bake", reporter):
        keep_used(files)
        for packages in (cache_dir() / "images").glob("*.json"):
            if not packages.with_suffix(".raw").exists():
                packages.unlink()
