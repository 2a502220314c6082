"""What a cloud has left on the host, found by its home folder and by the prefix of its names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from samovar.core.process import run


def leftovers(home: Path, prefix: str) -> list[str]:
    """One line for each thing; none is a clean host. `prefix` is that of the cloud's names: `samovar-1`.

    Looks for mounts (in any namespace), loop devices, processes, control groups, network namespaces, links, nftables
    tables, systemd units, and files of nspawn.
    """
    return [*_mounts(home), *_loops(home), *_processes(home), *_named(prefix), *_units(prefix)]


def _mounts(home: Path) -> Iterator[str]:
    for file in Path("/proc").glob("[0-9]*/mountinfo"):
        for line in _text(file).splitlines():
            if str(home) in line:
                yield f"mount in process {file.parent.name}: {line}"


def _loops(home: Path) -> Iterator[str]:
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        if str(home) in (backing := _text(file)):
            yield f"loop device {file.parent.parent.name}: {backing.strip()}"


def _processes(home: Path) -> Iterator[str]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        command = _text(file).replace("\0", " ")
        if str(home) in command and int(file.parent.name) != os.getpid():
            yield f"process {file.parent.name}: {command}"


def _named(prefix: str) -> Iterator[str]:
    cgroups = Path("/sys/fs/cgroup")
    for name in (prefix, f"{prefix.replace('-', '_')}.slice"):
        yield from (f"control group {path}" for path in (*cgroups.glob(name), *cgroups.glob(f"*/{name}")))
    yield from (f"network namespace {path.name}" for path in Path("/run/netns").glob(f"{prefix}*"))
    yield from (f"link {path.name}" for path in Path("/sys/class/net").glob(f"{prefix}*"))
    yield from (f"nspawn {path}" for path in Path("/run/systemd/nspawn").glob(f"*/{prefix}*"))
    yield from (line for line in run(["nft", "list", "tables"]).stdout.splitlines() if prefix in line)


def _units(prefix: str) -> Iterator[str]:
    if Path("/run/systemd/system").is_dir():
        patterns = [f"{prefix}*", f"{prefix.replace('-', '_')}.slice"]
        yield from run(["systemctl", "list-units", "--all", "--no-legend", "--plain", *patterns]).stdout.splitlines()


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:  # it went while we looked
        return ""
