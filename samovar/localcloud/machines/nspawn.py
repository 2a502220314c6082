"""Builds the command line of systemd-nspawn that boots a machine, and the files that tell the guest its size."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from samovar.localcloud.machines.model import Machine
from samovar.localcloud.machines.uid_ranges import SIZE

BOOT = Path(__file__).with_name("boot.sh")

PLUGGED = "plugged"
"""The pipe, beside the files that tell the guest its size, that opens once its interface is there."""

DESCRIPTORS = 524288
"""Systemd's own bound for services, to which boot.sh raises its own; nspawn would lower it to the host's init's."""

GUEST_FILES = {"meminfo": "/proc/meminfo", "cpuinfo": "/proc/cpuinfo", "online": "/sys/devices/system/cpu/online"}
"""The kernel's files on memory and processors, which tell the guest its own size; control groups hold it to that."""

_SIZE = "/run/host/size"
_KERNEL_SHARE = 16  # about 1/16 of a small machine's memory is not free once it has booted
_OPTIONS = (
    "--quiet",
    "--settings=no",
    "--directory=root",  # boot.sh runs in the machine's folder
    "--register=no",
    "--keep-unit",
    "--console=read-only",  # a terminal for the guest, as a serial line is; its output comes out on stdout
    "--setenv=TERM=dumb",  # no colours in a console that is kept
    "--link-journal=no",
    "--resolv-conf=off",
    "--timezone=off",
    "--notify-ready=no",
    "--capability=CAP_NET_ADMIN",
)


def arguments(
    machine: Machine, folder: Path, data: Mapping[str, Path], first_uid: int | None = None
) -> tuple[str, ...]:
    """Return the arguments of nspawn; `data` are block devices by the device name under which the guest finds them.

    With `first_uid` the machine has a user namespace, and its root file system belongs to those uids already.
    """
    return (
        *_OPTIONS,
        f"--machine={machine.id}",
        f"--hostname={machine.hostname}",
        *_namespaces(machine, first_uid),
        f"--cpu-affinity={affinity(machine.id, machine.cores, processors())}",
        *(f"--bind={device}:/dev/disk/by-id/virtio-{name}" for name, device in data.items()),
        f"--bind-ro={folder}/size:{_SIZE}",
        *_init(plugged_later=first_uid is not None),
    )


def _namespaces(machine: Machine, first_uid: int | None) -> tuple[str, ...]:
    if first_uid is None:
        return (f"--network-namespace-path=/run/netns/{machine.netns}",)
    users = (f"--private-users={first_uid}:{SIZE}", "--private-users-ownership=off")
    return ("--private-network", *users, f"--rlimit=RLIMIT_NOFILE={DESCRIPTORS}")


def _init(*, plugged_later: bool) -> tuple[str, ...]:
    """The guest's pid 1 mounts its size before it becomes init: --bind cannot, and from outside it would be a race.

    In a user namespace it cannot unmount what it was given, and waits until its interface is there.
    """
    mounts = [f"mount --bind {_SIZE}/{name} {target}" for name, target in GUEST_FILES.items()]
    last = f"read -r _ <{_SIZE}/{PLUGGED}" if plugged_later else f"umount {_SIZE}"
    return ("/bin/sh", "-ec", "; ".join([*mounts, last, "exec /sbin/init"]))


def meminfo(memory: int) -> str:
    """Render /proc/meminfo of a machine with `memory` bytes and no swap, as it is just after its boot."""
    total = memory // 1024
    free = total - total // _KERNEL_SHARE
    amounts = {
        "MemTotal": total,
        "MemFree": free,
        "MemAvailable": free,
        **dict.fromkeys(("Buffers", "Cached", "SwapCached", "Active", "Inactive", "SwapTotal", "SwapFree", "Shmem"), 0),
        **dict.fromkeys(("Slab", "SReclaimable", "SUnreclaim"), 0),
    }
    return "".join(f"{name + ':':<15} {amount:>8} kB\n" for name, amount in amounts.items())


def cpuinfo(host: str, cores: int) -> str:
    """Return the host's /proc/cpuinfo, cut to the first `cores` processors."""
    blocks = re.split(r"\n\n(?=processor\s*:)", host.rstrip("\n"))
    return "\n\n".join(blocks[:cores]) + "\n\n"


def online(cores: int) -> str:
    """Render /sys/devices/system/cpu/online of a machine with `cores` processors."""
    return "0\n" if cores == 1 else f"0-{cores - 1}\n"


def processors() -> list[int]:
    """Return the host's processors that this process may use."""
    return sorted(os.sched_getaffinity(0))


def affinity(machine_id: str, cores: int, host: Sequence[int]) -> str:
    """Return the host's processors that a machine runs on, in nspawn's syntax: machines are spread by their id."""
    first = zlib.crc32(machine_id.encode()) % len(host)
    rotated = [*host[first:], *host[:first]]
    return ",".join(str(number) for number in sorted(rotated[:cores]))


def write_guest_files(folder: Path, *, memory: int, cores: int) -> None:
    """Write the files that the guest mounts over `GUEST_FILES`, each under its short name."""
    folder.mkdir(exist_ok=True)
    cores = min(cores, len(processors()))
    (folder / "meminfo").write_text(meminfo(memory))
    (folder / "cpuinfo").write_text(cpuinfo(Path("/proc/cpuinfo").read_text(), cores))
    (folder / "online").write_text(online(cores))
