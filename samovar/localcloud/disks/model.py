"""A disk builder makes the RAW files behind images, disks and snapshots."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from samovar.localcloud.disks.freeze import Freeze


class DiskBuilder(Protocol):
    """Makes RAW files; each gets its name last, once it is complete. All methods raise SamovarError."""

    async def make_public_image(self, suite: str, out: Path) -> None:
        """Make a public image: a release of Debian that boots in this cloud, from the host's package mirrors."""

    async def merge(self, image: Path, disk: Path, out: Path) -> None:
        """Make an image of an idle boot disk: `image`, from which it was made, and what was changed since."""

    def fetch(self, uri: str, out: Path) -> bool:
        """Fetch the image behind a uri that is not of this cloud's storage; False where that cannot be had."""

    async def copy(self, source: Path, out: Path, size: int = 0) -> None:
        """Copy a file, its holes kept, grown to `size` bytes where that is more."""

    async def copy_consistently(self, source: Path, out: Path, frozen: AbstractAsyncContextManager[Freeze]) -> float:
        """Copy a file that is in use, as it is in one moment; return the seconds for which it was frozen.

        Most is copied before `frozen` is entered, what changed meanwhile while it lasts.
        """
