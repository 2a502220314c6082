"""The drivers through which a cloud uses its host: machines, networks and the making of files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from samovar.localcloud import clock
from samovar.localcloud.disks.model import DiskBuilder
from samovar.localcloud.machines.model import MachineDriver
from samovar.localcloud.network.model import Fabric


@dataclass(frozen=True)
class Host:
    """The real drivers, or `simulated` ones; `now` is seconds since 1970."""

    number: int
    driver: MachineDriver
    fabric: Fabric
    builder: DiskBuilder
    now: Callable[[], float] = clock.now
    simulated: bool = False
