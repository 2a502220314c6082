"""The quarantine: disks and images that the store does not know are moved here, and never deleted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog

from samovar.core.errors import HostError
from samovar.core.files import sync_folder
from samovar.localcloud import clock

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Quarantine:
    """A folder of the home: `<time>/<disks or images>/<id>.raw`."""

    root: Path

    def move(self, file: Path) -> Path:
        """Takes `file` out of the folder that the store governs. HostError where it cannot be moved."""
        target = self.root / clock.utc_now().strftime("%Y%m%dT%H%M%SZ") / file.parent.name / file.name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            file.rename(target)
        except OSError as error:
            raise HostError(
                f"{file} is unknown to the store and cannot be moved to {target}: {error.strerror}",
                remedy="move it there by hand, and start the local cloud again",
            ) from error
        sync_folder(target.parent)
        log.warning("moved to the quarantine: the store does not know it", file=str(file), target=str(target))
        return target

    def warnings(self) -> tuple[str, ...]:
        """One text for each file that is here now."""
        return tuple(_warning(file) for file in sorted(self.root.glob("*/*/*.raw")))


def _warning(file: Path) -> str:
    status = file.stat()
    kind = file.parent.name.removesuffix("s")
    return (
        f"{file} ({status.st_size / 2**30:.2f} GiB, {status.st_blocks * 512 / 2**20:.0f} MiB of it written): "
        f"the store does not know this {kind}, so it was put aside; "
        "docs/operations.md says how to use it again, and once it is moved or deleted this warning ends"
    )
