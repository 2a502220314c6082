"""The home folder of one local cloud holds everything that it keeps, and the file by which it is found again."""

from __future__ import annotations

import json
import stat
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from samovar.core.errors import HostError
from samovar.core.files import write_private
from samovar.core.local_clouds import ENDPOINT_FILE, LOG_FILE, SIMULATION_FILE, START_LOCK_FILE, Endpoint

OTHERS = 0o077
"""The bits of a mode that give access to the group and to all users."""
OF_A_START = frozenset({LOG_FILE, START_LOCK_FILE})
"""The files that are in a folder before the daemon that is started there."""


class QuotaSet(StrEnum):
    """The quotas of a home: those that a new cloud of Yandex has, or raised ones."""

    RAISED = "raised"
    DEFAULT = "default"


@dataclass(frozen=True)
class Home:
    """The paths in a cloud's home folder. Secrets are in files of mode 0600 in a folder of mode 0700."""

    root: Path

    @property
    def endpoint_file(self) -> Path:
        return self.root / ENDPOINT_FILE

    @property
    def database(self) -> Path:
        return self.root / "cloud.sqlite"

    @property
    def log(self) -> Path:
        return self.root / LOG_FILE

    @property
    def calls(self) -> Path:
        """Every call of the API that changes something, a JSON object a line."""
        return self.root / "calls.jsonl"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def images(self) -> Path:
        """RAW files, each under its image's id."""
        return self.root / "images"

    def image(self, image_id: str) -> Path:
        return self.images / f"{image_id}.raw"

    def disk(self, disk_id: str) -> Path:
        return self.disks / f"{disk_id}.raw"

    @property
    def simulation(self) -> Path:
        """The parameters of simulated machines, in JSON; there is no file where they are real."""
        return self.root / SIMULATION_FILE

    @property
    def profile(self) -> Path:
        """The profile whose conditions calls meet, in JSON; there is no file where there are none."""
        return self.root / "profile.json"

    @property
    def uploads(self) -> Path:
        """Files of image storage: `<digest>.raw`."""
        return self.root / "uploads"

    @property
    def disks(self) -> Path:
        """RAW files, each under its disk's id."""
        return self.root / "disks"

    @property
    def quarantine(self) -> Path:
        """Files that the store did not have: `<time>/<disks, images or snapshots>/<id>.raw`."""
        return self.root / "quarantine"

    @property
    def backups(self) -> Path:
        """Copies of the store, with the time in their names."""
        return self.root / "backups"

    @property
    def snapshots(self) -> Path:
        """RAW files, each under its snapshot's id."""
        return self.root / "snapshots"

    def snapshot(self, snapshot_id: str) -> Path:
        return self.snapshots / f"{snapshot_id}.raw"

    @property
    def machines(self) -> Path:
        """The machine driver's own: `<machine id>/`, with the serial console in it."""
        return self.root / "machines"

    @property
    def networks(self) -> Path:
        """The fabric's own: `<network id>/`, with the leases and the records of its name server in it."""
        return self.root / "networks"

    def make(self) -> None:
        """Make what is missing. Raises HostError for a folder that is open to others and may be more than a home."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._close_to_others()
        kept = (self.pki, self.images, self.uploads, self.disks, self.snapshots, self.backups)
        for folder in (*kept, self.machines, self.networks):
            folder.mkdir(exist_ok=True, mode=0o700)

    def _close_to_others(self) -> None:
        """A home is its owner's alone; any other folder is not ours to change."""
        mode = stat.S_IMODE(self.root.stat().st_mode)
        if not mode & OTHERS:
            return
        if any(each.name not in OF_A_START for each in self.root.iterdir()) and not self.pki.is_dir():
            raise HostError(
                f"{self.root} is open to other users (mode {mode:04o}), and is no home of a local cloud yet",
                remedy=f"give --home a folder of its own; or, if it is meant for this alone: chmod 700 {self.root}",
            )
        self.root.chmod(mode & ~OTHERS)

    def write_endpoint(self, endpoint: Endpoint) -> None:
        write_private(self.endpoint_file, json.dumps(asdict(endpoint), indent=2))
