"""The command lines that boot a machine: what systemd-nspawn is told, and what runs in the guest before its init."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from samovar.localcloud.machines import guest_proc
from samovar.localcloud.machines.spec import Machine

# A mount namespace of the machine's own; the host's unmounts still reach into it, so that it keeps nothing busy.
BOOT = ("unshare", "--mount", "--propagation", "slave", Path(__file__).with_name("boot.sh"))

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


def arguments(machine: Machine, folder: Path, data: Mapping[str, Path]) -> tuple[str, ...]:
    """The arguments of nspawn; `data` are block devices by the device name under which the guest finds them."""
    return (
        *_OPTIONS,
        f"--machine={machine.id}",
        f"--hostname={machine.hostname}",
        f"--network-namespace-path=/run/netns/{machine.netns}",
        f"--cpu-affinity={guest_proc.affinity(machine.id, machine.cores, guest_proc.processors())}",
        *(f"--bind={device}:/dev/disk/by-id/virtio-{name}" for name, device in data.items()),
        f"--bind-ro={folder}/size:{_SIZE}",
        *_init(),
    )


def _init() -> tuple[str, ...]:
    """The guest's pid 1 mounts its size before it becomes init: --bind cannot, and from outside it would be a race."""
    mounts = [f"mount --bind {_SIZE}/{name} {target}" for name, target in guest_proc.GUEST_FILES.items()]
    return ("/bin/sh", "-ec", "; ".join([*mounts, f"umount {_SIZE}", "exec /sbin/init"]))
