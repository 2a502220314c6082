"""The machines of a group. Sizes are in bytes."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from samovar.core.platforms import size_problem
from samovar.project.fields import CoreFraction, Cores, DiskSize, Memory, Strict

PLATFORM: Final = "standard-v3"
"""The platform of machines of which the environment says nothing else."""

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
