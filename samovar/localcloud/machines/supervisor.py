"""Who keeps a machine's control groups: what the driver asks of systemd, or of our own hands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from samovar.localcloud.machines.spec import Machine


@dataclass(frozen=True)
class BlockDevice:
    """A block device that a machine may open, through the fence that keeps it from all others."""

    path: Path
    writable: bool


class Keeper(Protocol):
    """Starts a machine's process apart from the daemon, in a control group that bounds its size and its processes.

    In that group the machine finds null, zero, full, random, urandom, tty, ptmx, pts, net/tun and the block devices
    that it was given; where the host has the means, every other device is closed to it. The guest's own group lies
    below the bounded one, so that root in the machine cannot lift a bound.
    """

    def unit(self, machine_id: str) -> Path:
        """The machine's cgroup2 folder: what runs is in it, and nothing else is."""

    def groups(self, machine_id: str) -> tuple[Path, ...]:
        """More control groups that the guest must be put into."""

    def machines(self) -> frozenset[str]:
        """The ids of all machines that have a control group, whether the driver remembers them or not."""

    async def launch(
        self, machine: Machine, devices: Sequence[BlockDevice], argv: Sequence[str | Path], console: Path
    ) -> None:
        """Starts `argv` with its output in `console`. Raises SamovarError if it cannot."""

    async def release(self, machine_id: str) -> None:
        """Removes the empty control groups of a machine that has ended. May be repeated."""

    async def close(self) -> None:
        """Removes what all machines have together; there are none any more."""
