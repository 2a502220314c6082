"""The machine driver: systemd-nspawn containers that outlive the daemon and are found again by what the host shows.

A machine is its folder (it was started and not removed), its control group (what runs) and two files in the folder: the
console and, once it has ended by itself, the exit code. All else that a start makes - mounts, loop devices, what nspawn
keeps in /run - belongs to the machine's own processes and goes with the last of them (boot.sh).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, suppress
from pathlib import Path

from samovar.core import kernel
from samovar.core.constants import MIB
from samovar.core.errors import HostError, ProcessFailed, WaitTimeout
from samovar.core.process import run_async
from samovar.core.waiting import Pending, wait_for_async
from samovar.localcloud.disks import freeze
from samovar.localcloud.disks.loop_devices import attached
from samovar.localcloud.machines import cgroups, console, machine_faults, nspawn, uid_ranges
from samovar.localcloud.machines.machine_faults import Command
from samovar.localcloud.machines.model import BlockDevice, Machine, Observed
from samovar.localcloud.machines.starts import Starts
from samovar.localcloud.machines.supervisors import supervisor_of_this_host

START_TIMEOUT = 180.0  # seconds; 0.2 on a host at rest, 100 times that for several machines on an emulated one
KILL_TIMEOUT = 30.0
FAULT_TIMEOUT = 20.0
NO_NETEM = "qdisc kind is unknown"
"""The words of tc(8) where the kernel does not have what it is asked for."""
POWER_OFF = signal.SIGRTMIN + 4  # systemd(1)
JOURNAL_MB = 16  # small, so that a boot disk is made in 20 ms
CONSOLE_LINES = 5
HOST_USERS = "host-users"
"""The file in a machine's folder that tells why it has the host's users; empty where it has its own."""
MIN_FREE = 256 * MIB
"""Bytes that must be free for a machine to start."""


class NspawnDriver:
    """Machines of one cloud, each in `home_machines`/<id>. One call at a time for a machine, machines side by side."""

    def __init__(self, home_machines: Path, prefix: str) -> None:
        self._home = home_machines.resolve()
        self._supervisor = supervisor_of_this_host(prefix)
        self._starts = Starts(processors=len(nspawn.processors()))
        self._inits: dict[str, cgroups.Init] = {}

    async def start(self, machine: Machine) -> None:
        if cgroups.populated(self._supervisor.unit(machine.id)):
            return
        async with self._starts.turn(self._supervisor.unit(machine.id)):
            await self._start(machine)

    def end_starts(self) -> None:
        self._starts.end()

    async def _start(self, machine: Machine) -> None:
        await self._supervisor.release(machine.id)
        _check_free_space(machine)
        _check_limits(machine, self._starts.under_way)
        self._prepare(machine)
        await _make_boot_disk(machine)
        try:
            with ExitStack() as loops:
                await self._launch(machine, loops)
                await self._wait_for_init(machine.id)
        except BaseException:
            await self.kill(machine.id)
            raise

    async def stop(self, machine_id: str, *, grace: float = 30.0) -> None:
        init = cgroups.find_init(self._supervisor.unit(machine_id))
        if init:
            with suppress(ProcessLookupError):
                os.kill(init.pid, POWER_OFF)
        try:
            await self._wait_for_end(machine_id, grace)
        except WaitTimeout:
            await self.kill(machine_id)

    async def kill(self, machine_id: str) -> None:
        cgroups.kill(self._supervisor.unit(machine_id))
        await self._wait_for_end(machine_id, KILL_TIMEOUT)

    async def remove(self, machine_id: str) -> None:
        await self.kill(machine_id)
        await self._supervisor.release(machine_id)
        folder = self._home / machine_id
        if folder.exists():
            await asyncio.to_thread(shutil.rmtree, folder)

    def observe(self) -> Mapping[str, Observed]:
        """A machine whose folder was lost is seen as long as it runs, so that it can be removed."""
        folders = frozenset(folder.name for folder in self._home.iterdir())
        return {machine_id: self._observed(machine_id) for machine_id in folders | self._supervisor.machines()}

    def host_users(self) -> Mapping[str, str]:
        reasons = {file.parent.name: file.read_text() for file in self._home.glob(f"*/{HOST_USERS}")}
        return {
            machine_id: reason
            for machine_id, reason in reasons.items()
            if reason and cgroups.populated(self._supervisor.unit(machine_id))
        }

    def cpu_seconds(self, machine_id: str) -> float | None:
        return cgroups.cpu_seconds(self._supervisor.unit(machine_id))

    def processes(self, machine_id: str, unit: str) -> tuple[int, ...]:
        return cgroups.processes(self._supervisor.unit(machine_id), unit)

    def kill_processes(self, machine_id: str, unit: str) -> None:
        for pid in self.processes(machine_id, unit):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def cause(self, machine_id: str, fault: machine_faults.MachineFault) -> None:
        await self._apply(machine_id, fault, machine_faults.cause(fault), freeze=True)

    async def end(self, machine_id: str, fault: machine_faults.MachineFault) -> None:
        await self._apply(machine_id, fault, machine_faults.end(fault), freeze=False)

    async def _apply(
        self, machine_id: str, fault: machine_faults.MachineFault, command: Command | None, *, freeze: bool
    ) -> None:
        unit = self._supervisor.unit(machine_id)
        init = cgroups.find_init(unit)
        if init is None:
            raise HostError(f"{fault.fault}: machine {machine_id} does not run")
        if command is None:
            cgroups.freeze(unit, frozen=freeze)
            return
        inside = ("nsenter", f"--target={init.pid}", *command.namespaces(Path(f"/proc/{init.pid}/root")))
        try:
            await run_async((*inside, *command.argv), stdin=command.stdin, timeout=FAULT_TIMEOUT)
        except ProcessFailed as error:
            if NO_NETEM in error.output:
                raise HostError("the kernel of this host cannot delay packets: it has no sch_netem") from error
            raise

    def frozen(self, machine_id: str, disk: Path) -> AbstractAsyncContextManager[freeze.Freeze]:
        return freeze.frozen(disk, self._supervisor.unit(machine_id))

    def thaw(self, machine_id: str, disk: Path) -> None:
        freeze.thaw(disk, self._supervisor.unit(machine_id))

    def console(self, machine_id: str) -> bytes:
        return console.read(self._home / machine_id / "console")

    async def close(self) -> None:
        if not any(machine.running for machine in self.observe().values()):
            await self._supervisor.close()

    def _prepare(self, machine: Machine) -> None:
        """Make the machine's folder as if it had never run."""
        folder = self._home / machine.id
        for mount_point in ("image", "disk", "root"):
            (folder / mount_point).mkdir(parents=True, exist_ok=True)
        (folder / "exit").unlink(missing_ok=True)
        console.clear(folder / "console")
        nspawn.write_guest_files(folder / "size", memory=machine.memory, cores=machine.cores)
        (folder / HOST_USERS).write_text(host_users_reason(machine))
        if not (folder / "size" / nspawn.PLUGGED).is_fifo():
            os.mkfifo(folder / "size" / nspawn.PLUGGED, 0o644)

    async def _launch(self, machine: Machine, loops: ExitStack) -> None:
        """The machine's processes take hold of the loop devices before `loops` lets go of them."""
        folder = self._home / machine.id
        image = loops.enter_context(attached(machine.image, read_only=True))
        disk = loops.enter_context(attached(machine.boot_disk))
        data = {each.device_name: loops.enter_context(attached(each.path)) for each in machine.disks}
        devices = [BlockDevice(image, writable=False)]
        devices += [BlockDevice(device, writable=True) for device in (disk, *data.values())]
        held = (*self._supervisor.groups(machine.id), *data.values())
        first_uid = None if host_users_reason(machine) else uid_ranges.first_uid(machine.boot_disk.resolve())
        unit, uids = self._supervisor.unit(machine.id), str(first_uid or "-")
        boot: tuple[str | Path, ...] = (nspawn.BOOT, folder, unit, image, disk, uids, machine.netns, sys.executable)
        argv = (*boot, *held, "--", *nspawn.arguments(machine, folder, data, first_uid))
        await self._supervisor.launch(machine, devices, argv, folder / "console")

    async def _wait_for_init(self, machine_id: str) -> None:
        folder, unit = self._home / machine_id, self._supervisor.unit(machine_id)

        def running() -> cgroups.Init | Pending:
            if init := cgroups.find_init(unit):
                return init
            last = console.last_lines(folder / "console", CONSOLE_LINES)
            if (folder / "exit").exists():
                raise HostError(f"machine {machine_id} ended before its init ran: {last}{_used_up()}")
            return Pending(last)

        await wait_for_async(
            f"the init of machine {machine_id}", running, timeout=START_TIMEOUT, interval=0.01, ceiling=0.05
        )

    async def _wait_for_end(self, machine_id: str, timeout: float) -> None:
        unit = self._supervisor.unit(machine_id)

        def empty() -> bool | Pending:
            return Pending("processes in its control group") if cgroups.populated(unit) else True

        await wait_for_async(f"the end of machine {machine_id}", empty, timeout=timeout, interval=0.005, ceiling=0.05)

    def _observed(self, machine_id: str) -> Observed:
        previous, unit = self._inits.pop(machine_id, None), self._supervisor.unit(machine_id)
        init = previous if previous and previous.runs() else cgroups.find_init(unit)
        if init:
            self._inits[machine_id] = init
        if init or cgroups.populated(unit):
            return Observed(running=True, pid=init.pid if init else None)
        return Observed(running=False, exit_code=_exit_code(self._home / machine_id / "exit"))


def host_users_reason(machine: Machine) -> str:
    """Return why the machine gets no user namespace of its own; empty where it does."""
    if machine.wants_host_users:
        return "its metadata ask for them"
    if machine.disks:
        return "it has a data disk, which no user namespace may mount"
    return kernel.user_namespaces_unavailable()


def _check_free_space(machine: Machine) -> None:
    """Disks are sparse: a machine on a full one would start, and fail at its first write with errors of its own."""
    folder = machine.boot_disk.parent
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE:
        raise HostError(
            f"no space is left for machine {machine.id}: {free // MIB} MiB are free in {folder}, "
            f"it takes {MIN_FREE // MIB}",
            remedy="free some, and start it again; a group does so by itself",
        )


def _check_limits(machine: Machine, starting: int) -> None:
    """Raise HostError where the machines that start now would use up a limit of the kernel.

    Such a machine would get an init that dies, or one whose services do, with errors that name no limit.
    """
    limit = kernel.exhausted(starting)
    if limit:
        raise HostError(
            f"machine {machine.id} could not start: {limit.name} is used up ({limit.value()}); "
            f"a machine takes {limit.machine} of it",
            remedy=f"{kernel.remedy(limit)}, or run fewer machines; a group tries again by itself",
        )


def _used_up() -> str:
    limit = kernel.exhausted(1)
    return f"; {limit.name} is used up ({limit.value()})" if limit else ""


async def _make_boot_disk(machine: Machine) -> None:
    if machine.boot_disk.exists():
        return
    partial = machine.boot_disk.with_suffix(".new")
    with partial.open("wb") as sparse:
        sparse.truncate(machine.boot_disk_size)
    await run_async(["mkfs.ext4", "-q", "-F", "-m", "0", "-J", f"size={JOURNAL_MB}", "-E", "nodiscard", partial])
    partial.replace(machine.boot_disk)


def _exit_code(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # not there, or being written
        return None
