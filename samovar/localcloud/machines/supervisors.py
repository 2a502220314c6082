"""A supervisor starts a machine's process and bounds it by control groups: systemd's, or else our own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from samovar.core.errors import HostError
from samovar.core.kernel import CGROUPS, SYSTEMD_IS_INIT
from samovar.core.process import run_async
from samovar.localcloud.machines import cgroups
from samovar.localcloud.machines.model import MAX_TASKS, BlockDevice, Machine, Supervisor

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

log: FilteringBoundLogger = structlog.get_logger(__name__)

CONTROLLERS_V1 = (
    *("blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb", "memory"),
    *("net_cls", "net_prio", "perf_event", "pids"),
)
"""Those that bound nothing here as well: a guest in the root group of a hierarchy could freeze the whole host."""
GUEST = "guest"
SHARES = 1024
"""The weight of a group of cgroup v1 that asks for no other."""
PERIOD = 100_000  # microseconds, the kernel's own default
# null, zero, full, random, urandom, tty, console, ptmx, pts, net/tun
CHARACTER_DEVICES = ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2", "136:*", "10:200")

Settings = Iterator[tuple[str, str]]


def supervisor_of_this_host(prefix: str) -> Supervisor:
    """Return the host's supervisor; `prefix` tells this cloud's machines from everything else on the host."""
    return SystemdSupervisor(prefix) if SYSTEMD_IS_INIT.is_dir() else CgroupSupervisor(prefix)


class SystemdSupervisor:
    """A machine is a transient service `<prefix>-<machine>` in a slice of the cloud's own, and systemd bounds it."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._slice = prefix.replace("-", "_") + ".slice"  # a dash would nest it in another slice

    def unit(self, machine_id: str) -> Path:
        return CGROUPS / self._slice / self._service(machine_id)

    def groups(self, machine_id: str) -> tuple[Path, ...]:  # noqa: ARG002 - the unit does it all
        return ()

    def machines(self) -> frozenset[str]:
        head, tail = self._service("").split(".")
        services = (CGROUPS / self._slice).glob(f"{head}*.{tail}")
        return frozenset(path.stem.removeprefix(head) for path in services)

    async def launch(
        self, machine: Machine, devices: Sequence[BlockDevice], argv: Sequence[str | Path], console: Path
    ) -> None:
        head = ["systemd-run", "--quiet", "--collect", f"--unit={self._service(machine.id)}", f"--slice={self._slice}"]
        settings = [f"--property={setting}" for setting in _unit_properties(machine, devices)]
        await run_async([*head, *settings, f"--property=StandardOutput=truncate:{console}", *argv])

    async def release(self, machine_id: str) -> None:
        await _stop(self._service(machine_id))

    async def close(self) -> None:
        await _stop(self._slice)

    def _service(self, machine_id: str) -> str:
        return f"{self._prefix}-{machine_id}.service"


def _unit_properties(machine: Machine, devices: Sequence[BlockDevice]) -> Iterator[str]:
    yield "Type=exec"
    yield "Delegate=yes"
    yield f"MemoryMax={machine.memory}"
    yield "MemorySwapMax=0"
    yield f"CPUQuota={machine.cores * 100}%"
    yield f"CPUWeight={machine.core_fraction}"
    yield f"TasksMax={MAX_TASKS}"
    yield "OOMPolicy=continue"
    yield "KillSignal=SIGKILL"  # at the host's shutdown; a guest's processes would not end by SIGTERM
    yield "DevicePolicy=closed"
    yield "DeviceAllow=/dev/net/tun rwm"
    for device in devices:
        yield f"DeviceAllow={device.path} {'rw' if device.writable else 'r'}"


async def _stop(unit: str) -> None:
    """Stop a unit. Its name is a pattern, which may match nothing: a unit that does not exist is no error."""
    await run_async(["systemctl", "stop", unit[:-1] + f"[{unit[-1]}]"])


class CgroupSupervisor:
    """A host without systemd: a machine is a detached process in control groups that are made here.

    cgroup2 kills its processes. Its size, their number and its devices are bounded by the controllers of cgroup v1
    where they are mounted, else by those of cgroup2, which has none for devices but a BPF program: there is no device
    policy then. The groups are `<prefix>/<machine>` in each hierarchy; the guest is put into `guest` below it in those
    of v1, for its root may change its own group, and never the one above.
    """

    def __init__(self, prefix: str, root: Path = CGROUPS) -> None:
        self._prefix = prefix
        self._root = root
        unified = root / "unified"
        self._cgroup2 = unified if unified.is_dir() else root
        self._v1 = tuple(name for name in CONTROLLERS_V1 if (root / name / "cgroup.procs").exists())
        if "devices" not in self._v1:
            log.warning(
                "no device policy: root in a machine can open every block device of this host", cgroups=str(root)
            )

    def unit(self, machine_id: str) -> Path:
        return self._cgroup2 / self._prefix / machine_id

    def groups(self, machine_id: str) -> tuple[Path, ...]:
        return tuple(self._root / name / self._prefix / machine_id / GUEST for name in self._v1)

    def machines(self) -> frozenset[str]:
        return frozenset(path.parent.name for path in (self._cgroup2 / self._prefix).glob("*/cgroup.procs"))

    async def launch(
        self, machine: Machine, devices: Sequence[BlockDevice], argv: Sequence[str | Path], console: Path
    ) -> None:
        self._enable()
        cgroups.write(self.unit(machine.id), () if self._v1 else _size_v2(machine))
        for controller, guest in zip(self._v1, self.groups(machine.id), strict=True):
            machines, bounded = guest.parent.parent, guest.parent
            cgroups.write(machines, _cpuset_v1(machines.parent))
            cgroups.write(bounded, (*_cpuset_v1(machines), *_bounds_v1(controller, machine, devices)))
            cgroups.write(guest, _cpuset_v1(bounded))
        await spawn_detached(argv, console)

    async def release(self, machine_id: str) -> None:
        await asyncio.to_thread(self._remove, machine_id)

    async def close(self) -> None:
        await asyncio.to_thread(self._remove, "")

    def _enable(self) -> None:
        """Enable the controllers: cgroup2 gives one to a group only if all groups above it pass it on."""
        (self._cgroup2 / self._prefix).mkdir(exist_ok=True)
        offered = (self._cgroup2 / "cgroup.controllers").read_text().split()
        for group in (self._cgroup2, self._cgroup2 / self._prefix):
            for name in offered:
                (group / "cgroup.subtree_control").write_text(f"+{name}")

    def _remove(self, machine_id: str) -> None:
        """Remove the group from every hierarchy: on a hybrid host nspawn makes one in that of systemd, too."""
        for hierarchy in {self._cgroup2, *self._root.iterdir()}:
            cgroups.remove(hierarchy / self._prefix / machine_id)


def _quota(machine: Machine) -> int:
    """A share of the cores is what is guaranteed: a machine may use them wholly while no other needs them."""
    return PERIOD * machine.cores


def _size_v2(machine: Machine) -> Settings:
    yield "memory.max", str(machine.memory)
    yield "memory.swap.max", "0"
    yield "pids.max", str(MAX_TASKS)
    yield "cpu.max", f"{_quota(machine)} {PERIOD}"
    yield "cpu.weight", str(machine.core_fraction)


def _cpuset_v1(parent: Path) -> Settings:
    """A group of that hierarchy takes no process before it has its parent's processors and memory."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (parent / name).exists():
            yield name, (parent / name).read_text()


def _bounds_v1(controller: str, machine: Machine, devices: Sequence[BlockDevice]) -> Settings:
    if controller == "memory":
        yield "memory.limit_in_bytes", str(machine.memory)
    elif controller == "cpu":
        yield "cpu.cfs_quota_us", str(_quota(machine))
        yield "cpu.shares", str(SHARES * machine.core_fraction // 100)
    elif controller == "pids":
        yield "pids.max", str(MAX_TASKS)
    elif controller == "devices":
        yield from _device_policy_v1(devices)


def _device_policy_v1(devices: Sequence[BlockDevice]) -> Settings:
    yield "devices.deny", "a"
    for number in CHARACTER_DEVICES:
        yield "devices.allow", f"c {number} rwm"
    for device in devices:
        yield "devices.allow", f"b {_number(device.path)} {'rw' if device.writable else 'r'}"


def _number(device: Path) -> str:
    rdev = device.stat().st_rdev
    return f"{os.major(rdev)}:{os.minor(rdev)}"


async def spawn_detached(argv: Sequence[str | Path], output: Path) -> None:
    """Start `argv` in a session of its own, as a child of the host's init; its output replaces the file."""
    with output.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            "setsid", "--fork", *map(str, argv), stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink
        )
    if await process.wait():
        raise HostError(f"{argv[0]} did not start", remedy=f"its output is in {output}")
