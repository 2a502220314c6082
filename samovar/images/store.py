"""The store of images that were baked on this machine: a RAW file each, with the packages that apt resolved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from samovar.core.cache import keep_latest
from samovar.core.files import move_into_place, write_private
from samovar.core.paths import cache_dir
from samovar.images.definition import SHORT, image_name

KEPT = 3
"""Baked forms of an image that stay: today's, and two to go back to."""


@dataclass(frozen=True)
class BakedImage:
    """An image that passed its checks. `digest` is the full sha256 of its inputs, `raw` one ext4 file system.

    `packages` is what apt resolved, package to version; `manifest_digest` the sha256 of it; `size` is in bytes.
    `data_format` is its definition's.
    """

    name: str
    digest: str
    raw: Path
    size: int
    packages: Mapping[str, str]
    data_format: str = ""

    @property
    def full_name(self) -> str:
        """Its name in the cloud."""
        return image_name(self.name, self.digest)

    @property
    def manifest_digest(self) -> str:
        return manifest_digest(self.packages)


@dataclass(frozen=True)
class Store:
    """The folder of baked images. The RAW file comes into being last and at once: where it is, its image is whole."""

    folder: Path

    def find(self, name: str, digest: str) -> BakedImage | None:
        """None also where what stands beside it cannot be read: another bake renews it just now, or it is torn."""
        raw = self.raw(name, digest)
        try:
            size, packages = raw.stat().st_size, json.loads(raw.with_suffix(".json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return BakedImage(name, digest, raw, size, packages)

    def raw(self, name: str, digest: str) -> Path:
        return self.folder / f"{name}-{digest[:SHORT]}.raw"

    def keep(self, name: str, digest: str, partial: Path, packages: Mapping[str, str]) -> BakedImage:
        """Take over the finished file `partial`, which lies in the same file system; a power cut tears none."""
        raw = self.raw(name, digest)
        raw.unlink(missing_ok=True)  # a former bake of the same content has other packages
        write_private(raw.with_suffix(".json"), _json(packages))
        move_into_place(partial, raw)
        self._prune(name)
        return BakedImage(name, digest, raw, raw.stat().st_size, packages)

    def _prune(self, name: str) -> None:
        """Keep the newest few of an image: they cost a quarter of a gigabyte each, and the clouds have their own."""
        pattern = f"{name}-{'[0-9a-f]' * SHORT}.raw"
        for raw in keep_latest(self.folder.glob(pattern), KEPT):
            raw.with_suffix(".json").unlink(missing_ok=True)


def default_store() -> Store:
    """Return the store in the cache of the user who runs us."""
    return Store(cache_dir() / "images")


def parse_packages(text: str) -> Mapping[str, str]:
    """Return package to version from lines of `package<tab>version`, as dpkg-query writes them."""
    return dict(line.split("\t") for line in text.splitlines())


def manifest_digest(packages: Mapping[str, str]) -> str:
    """Return the sha256, in hex, of what apt resolved."""
    return hashlib.sha256(_json(packages).encode()).hexdigest()


def _json(packages: Mapping[str, str]) -> str:
    return json.dumps(packages, indent=1, sort_keys=True)
