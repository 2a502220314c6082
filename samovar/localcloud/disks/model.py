"""What the rest of the local cloud asks of whoever makes RAW files."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from samovar.localcloud.disks.freeze import Standstill


class Maker(Protocol):
    """Each file comes into being last and at once. All raise SamovarError."""

    async def standard(self, suite: str, out: Path) -> None:
        """A public image: a release of Debian that boots in this cloud, from the host's package mirrors."""

    async def merged(self, image: Path, disk: Path, out: Path) -> None:
        """An image of a boot disk that nothing uses: `image`, from which it was made, and what was changed since."""

    def fetched(self, uri: str, out: Path) -> bool:
        """The image behind a uri that is not of this cloud's storage; False where such a one cannot be had."""

    async def copied(self, source: Path, out: Path, size: int = 0) -> None:
        """A copy, without the holes, grown to `size` bytes where that is more."""

    async def consistent(self, source: Path, out: Path, still: AbstractAsyncContextManager[Standstill]) -> float:
        """A copy of a file that is in use, as it is in one moment; returns the seconds for which it had to stand still.

        Most is copied before `still` is entered, what changed meanwhile while it lasts.
        """
