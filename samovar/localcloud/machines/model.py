"""Machines are values: the rest of the local cloud hands them to a machine driver, which reports what it observes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from samovar.localcloud.disks.freeze import Freeze
from samovar.localcloud.machines.machine_faults import MachineFault

MAX_TASKS = 2048
"""Processes and threads that a machine may have at once; the kernel's own bound for a whole host is 32,768."""


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
    """The state of a machine on the host: its init's pid while it runs, how it ended once it does not.

    `exit_code` is 0 for a guest that powered itself off, another number for one that died, None where the end
    was not seen (a power cut, a reboot of the host).
    """

    running: bool
    pid: int | None = None
    exit_code: int | None = None


class MachineDriver(Protocol):
    """Starts and ends machines, and finds them again after the daemon itself was killed."""

    async def start(self, machine: Machine) -> None:
        """Return when the guest's init runs. A machine that was stopped starts again from its boot disk."""

    def end_starts(self) -> None:
        """Start nothing any more: a start that has not begun yet is cancelled."""

    async def stop(self, machine_id: str, *, grace: float = 30.0) -> None:
        """Ask the guest to power off, give it `grace` seconds, then cut the power."""

    async def kill(self, machine_id: str) -> None:
        """Cut the power: every process of the machine has ended when this returns."""

    async def remove(self, machine_id: str) -> None:
        """Leave nothing of a machine on the host but its disk files. Of one that runs, a power cut comes first."""

    def observe(self) -> Mapping[str, Observed]:
        """Return every machine that was started and not removed, running or not, by id; cheap for 4 calls a second."""

    def host_users(self) -> Mapping[str, str]:
        """Return why a machine runs with the host's users instead of its own, by id of each that does."""

    def cpu_seconds(self, machine_id: str) -> float | None:
        """Return the processor time of a machine since it started; None where the host measures none."""

    def processes(self, machine_id: str, unit: str) -> tuple[int, ...]:
        """Return the pids, as the host has them, of a systemd unit of the guest; none where it does not run."""

    def kill_processes(self, machine_id: str, unit: str) -> None:
        """Send SIGKILL to all of them, as if they had died by themselves."""

    async def cause(self, machine_id: str, fault: MachineFault) -> None:
        """Cause a fault in a machine that runs. Raises HostError or ProcessFailed where that is not possible."""

    async def end(self, machine_id: str, fault: MachineFault) -> None:
        """End a fault that `cause` began; may be repeated."""

    def frozen(self, machine_id: str, disk: Path) -> AbstractAsyncContextManager[Freeze]:
        """Keep a disk of that machine unwritten while the context lasts, as `freeze.frozen` does."""

    def thaw(self, machine_id: str, disk: Path) -> None:
        """End a freeze that a killed daemon began with `frozen`."""

    def console(self, machine_id: str) -> bytes:
        """Return the serial console since the last start: of a long one the beginning and the end."""

    async def close(self) -> None:
        """Give back what the driver holds for all machines together (shared image mounts, control groups)."""


@dataclass(frozen=True)
class BlockDevice:
    """A block device that a machine may open, by the device policy that keeps it from all others."""

    path: Path
    writable: bool


class Supervisor(Protocol):
    """Starts a machine's process apart from the daemon, in a control group that bounds its size and its processes.

    In that group the machine finds null, zero, full, random, urandom, tty, ptmx, pts, net/tun and the block devices
    that it was given; where the host has the means, every other device is closed to it. The guest's own group lies
    below the bounded one, so that root in the machine cannot lift a bound.
    """

    def unit(self, machine_id: str) -> Path:
        """Return the machine's cgroup2 folder: its processes are in it, and no others are."""

    def groups(self, machine_id: str) -> tuple[Path, ...]:
        """Return more control groups that the guest must be put into."""

    def machines(self) -> frozenset[str]:
        """Return the ids of all machines that have a control group, whether the driver remembers them or not."""

    async def launch(
        self, machine: Machine, devices: Sequence[BlockDevice], argv: Sequence[str | Path], console: Path
    ) -> None:
        """Start `argv` with its output in `console`. Raises SamovarError if it cannot."""

    async def release(self, machine_id: str) -> None:
        """Remove the empty control groups of a machine that has ended. May be repeated."""

    async def close(self) -> None:
        """Remove what all machines have together, once there are none."""
