"""The machines of a group and their disks. Sizes are in bytes."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from samovar.core.cron import check_cron
from samovar.core.platforms import size_problem
from samovar.core.units import GIB
from samovar.project.fields import CoreFraction, Cores, DiskSize, Memory, Name, Strict

PLATFORM: Final = "standard-v3"
"""The platform of machines of which the environment says nothing else."""
STEPPED_TYPES = frozenset({"network-ssd-nonreplicated", "network-ssd-io-m3"})
STEP = 93 * GIB
"""Disks of those types come in multiples of it (Yandex Cloud's documentation, compute/concepts/disk)."""


def _cron(expression: str) -> str:
    check_cron(expression)
    return expression


DiskType = Literal["network-hdd", "network-ssd", "network-ssd-nonreplicated", "network-ssd-io-m3"]


Platform = Literal["standard-v1", "standard-v2", "standard-v3", "highfreq-v3", "amd-v1", "standard-v4a", "highfreq-v4a"]
"""The platforms of machines without graphics cards (compute/concepts/performance-levels)."""


class Machine(Strict):
    """The size of each machine of a group, as the API's own constraints allow it."""

    platform: Platform = Field(default=PLATFORM, description="the kind of processor; not every zone has each")
    cores: Cores = Field(default=2, description="processors of each machine")
    core_fraction: CoreFraction = Field(
        default=100,
        description="the guaranteed share of each core, in per cent; a machine may use more while there is more",
    )
    memory: Memory = Field(description="such as 2G; which sizes there are depends on `cores` and `core_fraction`")
    disk: DiskSize = Field(description="the boot disk, such as 10G, at least as large as the image needs")
    disk_type: DiskType = Field(default="network-ssd", description="the boot disk's type in the cloud")
    preemptible: bool = Field(
        default=False,
        description="`true`: cheaper, but the cloud stops each machine within a day, whenever it likes; its group "
        "starts it again",
    )

    @model_validator(mode="after")
    def _size_exists(self) -> Self:
        if problem := size_problem(self.platform, self.cores, self.core_fraction, self.memory):
            raise ValueError(problem)
        return self


class SnapshotSchedule(Strict):
    """The times at which the cloud takes snapshots of a data disk by itself, and how many of them it keeps."""

    expression: Annotated[str, AfterValidator(_cron)] = Field(
        description="a cron expression in UTC, minute first, such as `0 3 * * *`; or `@hourly`, `@daily`, `@weekly`"
    )
    snapshot_count: Annotated[int, Field(ge=1, le=1000)] = Field(
        description="how many snapshots are kept: the oldest goes when one more was taken"
    )


class DataDisk(Strict):
    """A disk that outlives the machines of a group, and the environment unless it is destroyed with `--delete-data`."""

    name: Name = Field(default="data", description="the name by which a machine finds it: /dev/disk/by-id/virtio-NAME")
    size: DiskSize = Field(description="such as 10G")
    type: DiskType = Field(default="network-ssd", description="the disk's type in the cloud")
    seed: Literal["once"] | None = Field(
        default=None,
        description="`once`: the image fills an empty disk at its first boot. The tool records that it did, and the "
        "secret `seeded` tells a machine, so that a disk that came back empty is not taken for a new one",
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
            raise ValueError(f"a disk of type {self.type} has a size in steps of {STEP // GIB}G: {sizes}")
        return self
