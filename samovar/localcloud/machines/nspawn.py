"""The command lines that boot a machine: what systemd-nspawn is told, and what runs in the guest before its init."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from samovar.localcloud.machines import guest_proc
from samovar.localcloud.machines.spec import Machine
from samovar.localcloud.machines.uid_ranges import SIZE

BOOT = Path(__file__).with_name("boot.sh")

PLUGGED = "plugged"
"""The pipe, beside the files that tell the guest its size, by which it hears that its interface is there."""

DESCRIPTORS = 524288
"""Systemd's own bound for services, to which boot.sh raises its own; nspawn would lower it to the host's init's."""

_SIZE = "/run/host/size"
_OPTIONS = (
    "--quiet",
    "--settings=no",
    "--directory=root",  # boot.sh runs in the machine's folder
    "--register=no",
    "--keep-unit",
    "--console=read-only",  # a terminal for the guest, as a serial line is; what it says comes out on stdout
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
    """The arguments of nspawn; `data` are block devices by the device name under which the guest finds them.

    With `first_uid` the machine has a user namespace, and its root file system belongs to those uids already.
    """
    return (
        *_OPTIONS,
        f"--machine={machine.id}",
        f"--hostname={machine.hostname}",
        *_namespaces(machine, first_uid),
        f"--cpu-affinity={guest_proc.affinity(machine.id, machine.cores, guest_proc.processors())}",
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
    mounts = [f"mount --bind {_SIZE}/{name} {target}" for name, target in guest_proc.GUEST_FILES.items()]
    last = f"read -r _ <{_SIZE}/{PLUGGED}" if plugged_later else f"umount {_SIZE}"
    return ("/bin/sh", "-ec", "; ".join([*mounts, last, "exec /sbin/init"]))
