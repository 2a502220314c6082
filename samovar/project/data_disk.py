"""The data disks of a group, which outlive its machines. Sizes are in bytes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from samovar.core.constants import GIB
from samovar.core.cron import check_cron
from samovar.core.validation import FieldError
from samovar.project.fields import DiskSize, Owner, Strict
from samovar.project.machine import DiskType

STEPPED_TYPES = frozenset({"network-ssd-nonreplicated", "network-ssd-io-m3"})
STEP = 93 * GIB
"""Disks of those types come in multiples of it (Yandex Cloud's documentation, compute/concepts/disk)."""
OF_A_MOUNT: Final = ("filesystem", "options", "owner")
"""The keys that say how a machine mounts a disk."""
FOLDER = r"[A-Za-z0-9][A-Za-z0-9._-]*"
MOUNT_POINT = rf"^/(data|mnt|srv|(opt|var/lib|var/log)/{FOLDER})(/{FOLDER})*$"


def _cron(expression: str) -> str:
    check_cron(expression)
    return expression


MountPoint = Annotated[str, StringConstraints(pattern=MOUNT_POINT)]
MountOption = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.:=-]*$")]


class OnDestroy(StrEnum):
    """The ways in which `destroy` treats a data disk."""

    KEEP = "keep"
    DELETE = "delete"


class SnapshotSchedule(Strict):
    """The times at which the cloud takes snapshots of a data disk by itself, and how many of them it keeps."""

    expression: Annotated[str, AfterValidator(_cron)] = Field(
        description="a cron expression in UTC, minute first, such as `0 3 * * *`; or `@hourly`, `@daily`, `@weekly`"
    )
    snapshot_count: Annotated[int, Field(ge=1, le=1000)] = Field(
        description="how many snapshots are kept: the oldest goes when one more was taken"
    )


class DataDisk(Strict):
    """A disk that outlives the machines of a group, and the environment unless its file says otherwise.

    A machine finds it as /dev/disk/by-id/virtio-NAME, by the name under which it stands in `data_disks`.
    """

    size: DiskSize = Field(
        description="such as 10G; a larger one enlarges the disk and its file system while the machine runs"
    )
    type: DiskType = Field(default="network-ssd", description="the disk's type in the cloud")
    mount: MountPoint | None = Field(
        default=None,
        description="the folder at which the machine mounts it before its services start: below /data, /mnt, /opt, "
        "/srv, /var/lib or /var/log. A blank disk gets a file system; what is on another one is kept. Without it the "
        "image mounts the disk itself",
    )
    filesystem: Literal["ext4", "xfs"] = Field(
        default="ext4", description="the file system that is made on a blank disk; the image has xfsprogs for `xfs`"
    )
    options: tuple[MountOption, ...] = Field(default=("noatime",), description="how it is mounted, as in mount(8)")
    owner: Owner | None = Field(
        default=None,
        description="`user:group` of the folder. An application owns /var/lib/NAME, by the name of its image, anyway",
    )
    seed: Literal["once"] | None = Field(
        default=None,
        description="`once`: the image fills an empty disk at its first boot. The tool records that it did, and the "
        "secret `seeded` tells a machine, so that a disk that came back empty is not taken for a new one",
    )
    on_destroy: OnDestroy = Field(
        default=OnDestroy.KEEP,
        description="`keep`, or `delete`: `destroy` deletes this disk without `--delete-data`. A rollout never does",
    )
    snapshot_schedule: SnapshotSchedule | None = Field(
        default=None,
        description="when the cloud takes snapshots of the disk; without it only `disk snapshot` does",
    )

    @model_validator(mode="after")
    def _size_fits_type(self) -> Self:
        if self.type in STEPPED_TYPES and self.size % STEP:
            low, high = self.size // STEP * STEP, (self.size // STEP + 1) * STEP
            sizes = " or ".join(f"{size // GIB}G" for size in (low, high) if size)
            problem = f"a disk of type {self.type} has a size in steps of {STEP // GIB}G"
            raise FieldError(problem, "size", remedy=f"write {sizes}")
        return self

    @model_validator(mode="after")
    def _image_or_machine_mounts(self) -> Self:
        if self.mount and self.seed:
            problem = "the image mounts a disk that it fills, so the machine does not"
            raise FieldError(problem, "mount", remedy="leave out mount, or seed")
        if given := self.model_fields_set.intersection(OF_A_MOUNT) if not self.mount else set():
            problem = "the image mounts this disk in its own way, for it has no mount"
            raise FieldError(problem, min(given), remedy=f"add mount: /srv/NAME, or leave out {min(given)}")
        return self
