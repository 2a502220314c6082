"""Checks the programs of this machine and their versions, its kernel, and the room on its disk."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from samovar.core.constants import GIB
from samovar.core.errors import SamovarError
from samovar.core.kernel import (
    BRIDGE_PORTS,
    LIMITS,
    MACHINES,
    PROC,
    device_policy_unavailable,
    loop_devices_unavailable,
    remedy,
    user_namespaces_unavailable,
)
from samovar.core.process import run
from samovar.images.builders.packer.toolchain import find_toolchain
from samovar.ops.doctor.finding import Finding, State, ok, run_check

AREA = "tools"
LEAST_SPACE = GIB
"""Bytes below which an image or two fill the disk of a local cloud."""
LIBRARIES = ("yandexcloud", "grpcio")
LOCAL = {
    "systemd-nspawn": "--version",
    "nft": "--version",
    "dnsmasq": "--version",
    "mmdebstrap": "--version",
    "mkfs.ext4": "-V",
    "ip": "-V",
}
"""What the local cloud and the local builder start, each with the option that makes it tell its version."""


def tools(*, local: bool) -> Iterator[Finding]:
    """`local` is whether this machine is to run the cloud; elsewhere Packer bakes."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    yield ok(AREA, f"Python {platform.python_version()}, {libraries}")
    yield from run_check(AREA, _packer, State.UNKNOWN if local else State.FAILURE)
    if local:
        yield from _local()


def _packer() -> Iterator[Finding]:
    toolchain = find_toolchain()
    plugins = f"plugins in {toolchain.plugins}" if toolchain.plugins else "with a plugin of its own"
    yield ok(AREA, f"Packer {toolchain.version} at {toolchain.packer}, {plugins}")


def _local() -> Iterator[Finding]:
    if os.geteuid():
        yield Finding(AREA, State.WARNING, "not root: the local cloud runs machines", "run its commands as root")
    yield _users()
    yield _devices()
    yield _loop_devices()
    yield from kernel_limits(root=not os.geteuid())
    for program, option in LOCAL.items():
        if shutil.which(program) is None:
            yield Finding(AREA, State.FAILURE, f"{program} is not on this machine", "as root: make setup")
        else:
            yield ok(AREA, f"{program} {_version(program, option)}")


def disk_space(home: Path) -> Finding:
    """Return whether the disk of a local cloud's home, which may not be there yet, has room for what is written."""
    folder = next(each for each in (home, *home.parents) if each.is_dir())
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB are free on the disk of {home}"
    if free < LEAST_SPACE:
        remedy = f"make room there, at least {LEAST_SPACE // GIB} GiB: machines and the cloud itself write to it"
        return Finding(AREA, State.FAILURE, text, remedy)
    return ok(AREA, text)


def _users() -> Finding:
    if reason := user_namespaces_unavailable():
        text = f"machines have the users of this host, for {reason}: root in one could become root on the host"
        return Finding(AREA, State.WARNING, text, "run only what you trust, or a kernel of 5.19 or newer")
    return ok(AREA, "a machine without a data disk has users of its own")


def _devices() -> Finding:
    if reason := device_policy_unavailable():
        text = f"{reason}: root in a machine with the users of this host can open every block device of it"
        return Finding(AREA, State.WARNING, text, "run there only what you trust, or use a host with systemd")
    return ok(AREA, "a machine can open only the devices that it is given")


def _loop_devices() -> Finding:
    if reason := loop_devices_unavailable():
        return Finding(
            AREA, State.FAILURE, reason, "load the module as root: modprobe loop; a container must be given it"
        )
    return ok(AREA, "the kernel makes a loop device for each disk of a machine")


def kernel_limits(*, root: bool, proc: Path = PROC) -> Iterator[Finding]:
    """Yield each of the kernel's limits that is too low for many machines; `root` raises it while a cloud is up."""
    short = [(limit, value) for limit in LIMITS if (value := limit.value(proc)) is not None]
    short = [(limit, value) for limit, value in short if value < limit.need(MACHINES)]
    for limit, value in short:
        enough = f"{limit.name} is {value}, enough for {limit.machines(value)} machines"
        if root and os.access(limit.file(proc), os.W_OK):
            yield ok(AREA, f"{enough}; `cloud up` raises it to {limit.need(MACHINES)}, `cloud down` gives it back")
        else:
            yield Finding(AREA, State.WARNING, f"{enough}; {MACHINES} need {limit.need(MACHINES)}", remedy(limit))
    if not short:
        yield ok(AREA, f"the kernel's limits are enough for {MACHINES} machines; a subnet holds {BRIDGE_PORTS}")


def _version(program: str, option: str) -> str:
    lines: list[str] = []
    try:
        run([program, option], on_line=lines.append)
    except SamovarError:
        return "of an unknown version"
    match = re.search(r"\d+(\.\d+)+|\b\d{3}\b", lines[0] if lines else "")
    return match[0] if match else "of an unknown version"
