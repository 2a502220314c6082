"""The kernel of this host: the limits that many local machines meet, and what it has to keep machines apart.

What a machine takes was counted on machines at rest, and rounded up: one of the base image has 18 threads and 5
inotify instances (three of systemd, one each of systemd-resolved and dbus); one of `dev`, whose health is asked for
every two seconds, is an end of 280 connections that are tracked. Instances in a user namespace count against
the user who made it as well, which is the host's root (kernel/ucount.c of Linux). Loop devices are no limit: the kernel
makes them as they are asked for, up to 2^20, whatever `max_loop` says (drivers/block/loop.c).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
MACHINES = 1000
"""The number of machines for which limits are raised."""
BRIDGE_PORTS = 1023
"""The machines that one subnet holds: a bridge of Linux has 1,024 ports (BR_MAX_PORTS), numbered from 1."""
OLDEST_WITH_IDMAPPED_LAYERS = (5, 19)
"""The first kernel whose overlay takes idmapped layers."""
NAMESPACE_LIMIT = Path("/proc/sys/user/max_user_namespaces")
SYSTEMD_IS_INIT = Path("/run/systemd/system")
"""The folder that is there where systemd is the init, as sd_booted(3) says."""
CGROUPS = Path("/sys/fs/cgroup")
LOOP_CONTROL = Path("/dev/loop-control")


def _threads(proc: Path) -> int:
    return int((proc / "loadavg").read_text().split()[3].partition("/")[2])


def _neighbours(proc: Path) -> int:
    return int((proc / "net/stat/arp_cache").read_text().splitlines()[1].split()[0], 16)


def _terminals(proc: Path) -> int:
    return int((proc / "sys/kernel/pty/nr").read_text())


def _files(proc: Path) -> int:
    return int((proc / "sys/fs/file-nr").read_text().split()[0])


@dataclass(frozen=True)
class KernelLimit:
    """A limit by its sysctl name: what a machine takes of it, and what is left to everything else on the host.

    `used` reads how much is used; None where the kernel does not tell. One that is `soft` makes the kernel collect
    what is old, and refuses nothing: it is raised for speed alone.
    """

    name: str
    machine: int
    host: int
    used: Callable[[Path], int] | None = None
    soft: bool = False

    def file(self, proc: Path = PROC) -> Path:
        """Return the file of the limit."""
        return proc / "sys" / self.name.replace(".", "/")

    def value(self, proc: Path = PROC) -> int | None:
        """Return the limit; None where this kernel has none, or shows it to nobody here."""
        try:
            return int(self.file(proc).read_text())
        except (OSError, ValueError):
            return None

    def need(self, machines: int) -> int:
        """Return the limit that so many machines need."""
        return self.host + self.machine * machines

    def machines(self, value: int) -> int:
        """Return the number of machines for which a limit is enough."""
        return max(0, value - self.host) // self.machine


INOTIFY = KernelLimit("fs.inotify.max_user_instances", machine=8, host=64)
LIMITS = (
    INOTIFY,
    KernelLimit("fs.inotify.max_user_watches", machine=64, host=8192),
    KernelLimit("kernel.pid_max", machine=64, host=8192, used=_threads),
    KernelLimit("kernel.threads-max", machine=64, host=8192, used=_threads),
    KernelLimit("kernel.pty.max", machine=2, host=1024, used=_terminals),
    KernelLimit("fs.file-max", machine=1024, host=65536, used=_files),
    KernelLimit("net.ipv4.neigh.default.gc_thresh1", machine=4, host=128, soft=True),
    KernelLimit("net.ipv4.neigh.default.gc_thresh2", machine=8, host=256, soft=True),
    KernelLimit("net.ipv4.neigh.default.gc_thresh3", machine=16, host=512, used=_neighbours),
    KernelLimit("net.netfilter.nf_conntrack_max", machine=512, host=16384),
    KernelLimit("user.max_user_namespaces", machine=2, host=256),
    KernelLimit("user.max_net_namespaces", machine=3, host=256),
    KernelLimit("user.max_mnt_namespaces", machine=32, host=256),
    KernelLimit("kernel.keys.root_maxkeys", machine=64, host=1024),
)
"""In the order in which they are met. The table of neighbours is one for all network namespaces of the host; each has
connections of its own, of which the host sees no number."""


def shortages(machines: int, proc: Path = PROC) -> Iterator[str]:
    """Yield each limit that refuses some of so many machines, with what there is and what they need."""
    for limit in LIMITS:
        value = limit.value(proc)
        if value is not None and not limit.soft and value < limit.need(machines):
            yield (
                f"{limit.name} is {value}, enough for {limit.machines(value)} machines; "
                f"{machines} need {limit.need(machines)}"
            )


def remedy(limit: KernelLimit) -> str:
    """Return what an operator does about a limit."""
    return f"raise it as root: sysctl -w {limit.name}={limit.need(MACHINES)}"


def exhausted(machines: int, proc: Path = PROC) -> KernelLimit | None:
    """Return the limit that leaves no room for so many more machines now; None where there is room."""
    return next((limit for limit in LIMITS if _is_exhausted(limit, machines, proc)), None)


def _is_exhausted(limit: KernelLimit, machines: int, proc: Path) -> bool:
    more = limit.machine * machines
    if limit is INOTIFY:
        return inotify_instances(more) < more
    value = limit.value(proc)
    return value is not None and limit.used is not None and limit.used(proc) + more > value


def inotify_instances(most: int) -> int:
    """Return how many inotify instances this user can have beside those in use, counted up to `most`.

    The kernel does not tell how many are in use, so they are opened and closed again.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptors: list[int] = []
    while len(descriptors) < most and (descriptor := libc.inotify_init1(os.O_CLOEXEC)) >= 0:
        descriptors.append(descriptor)
    for descriptor in descriptors:
        os.close(descriptor)
    return len(descriptors)


def user_namespaces_unavailable(release: str | None = None, limit: Path = NAMESPACE_LIMIT) -> str:
    """Return why machines must share the host's users; empty where each can have its own. `release` is the kernel's."""
    release = release or os.uname().release
    if _version(release) < OLDEST_WITH_IDMAPPED_LAYERS:
        return f"the kernel is {release}, and {'.'.join(map(str, OLDEST_WITH_IDMAPPED_LAYERS))} is the first that can"
    if not limit.exists():
        return "the kernel was built without them (CONFIG_USER_NS)"
    if not int(limit.read_text()):
        return "the host allows none (sysctl user.max_user_namespaces is 0)"
    return ""


def device_policy_unavailable(init: Path = SYSTEMD_IS_INIT, cgroups: Path = CGROUPS) -> str:
    """Return why no control group can close the host's devices to a machine; empty where one can."""
    if init.is_dir() or (cgroups / "devices/cgroup.procs").exists():
        return ""
    return "this host has neither systemd as its init nor the controller `devices` of cgroup v1"


def loop_devices_unavailable(control: Path = LOOP_CONTROL) -> str:
    """Return why no file can be made a disk of a machine; empty where one can."""
    return "" if control.is_char_device() else f"this host makes no loop devices: there is no {control}"


def _version(release: str) -> tuple[int, ...]:
    numbers = release.partition("-")[0].split(".")[:2]
    return tuple(int(number) for number in numbers if number.isdigit())
