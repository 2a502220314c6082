"""What the rest of the local cloud says to a machine driver, and what it hears back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from samovar.localcloud.disks.freeze import Standstill


@dataclass(frozen=True)
class DataDisk:
    """A disk beside the boot disk: a RAW file that the guest sees as /dev/disk/by-id/virtio-<device_name>."""

    device_name: str
    path: Path


@dataclass(frozen=True)
class Machine:
    """All that a machine is started from. Sizes are in bytes.

    `image` is a RAW file with one ext4 file system, read-only and shared; `boot_disk` a sparse RAW file of
    `boot_disk_size` that holds what the machine changes on top of it, made at the first start. `netns` names the
    network namespace that holds its `eth0`, already addressed by MAC; at each boot of a machine that has users of its
    own the name comes to lead to the namespace that was made for that boot, to which `eth0` has moved.
    `wants_host_users` is for what no user namespace can do, such as a bind mount of the machine's own root.
    """

    id: str
    hostname: str
    image: Path
    boot_disk: Path
    boot_disk_size: int
    cores: int
    core_fraction: int
    memory: int
    netns: str
    disks: tuple[DataDisk, ...] = ()
    wants_host_users: bool = False


@dataclass(frozen=True)
class Observed:
    """What the host sees of a machine: its init's pid while it runs, how it ended once it does not.

    `exit_code` is 0 for a guest that powered itself off, another number for one that died, None where the end
    was not seen (a power cut, a reboot of the host).
    """

    running: bool
    pid: int | None = None
    exit_code: int | None = None


class MachineDriver(Protocol):
    """Starts and ends machines, and finds them again after the daemon itself was killed."""

    async def start(self, machine: Machine) -> None:
        """Returns when the guest's init runs. A machine that was stopped starts again from its boot disk."""

    async def stop(self, machine_id: str, *, grace: float = 30.0) -> None:
        """Asks the guest to power off, gives it `grace` seconds, then cuts the power."""

    async def kill(self, machine_id: str) -> None:
        """A power cut: every process of the machine is gone when this returns."""

    async def remove(self, machine_id: str) -> None:
        """Leaves nothing of a machine on the host but its disk files. Of one that runs, a power cut comes first."""

    def observe(self) -> Mapping[str, Observed]:
        """Every machine that was started and not removed, running or not, by id; cheap enough for 4 calls a second."""

    def host_users(self) -> Mapping[str, str]:
        """The machines that run with the host's users instead of a namespace of their own, by id, with the reason."""

    def processes(self, machine_id: str, unit: str) -> tuple[int, ...]:
        """The pids, as the host has them, of a systemd unit of the guest; none where it does not run."""

    def kill_processes(self, machine_id: str, unit: str) -> None:
        """SIGKILL to all of them, as if they had died by themselves."""

    def still(self, machine_id: str, disk: Path) -> AbstractAsyncContextManager[Standstill]:
        """Nothing is written to a disk of that machine, if of any, while the context lasts; as `freeze.still` says."""

    def thaw(self, machine_id: str, disk: Path) -> None:
        """Ends what a daemon that was killed began with `still`."""

    def console(self, machine_id: str) -> bytes:
        """What the guest wrote on its serial console since its last start: of a long one the beginning and the end."""

    async def close(self) -> None:
        """Gives back what the driver holds for all machines together (shared image mounts, control groups)."""


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
