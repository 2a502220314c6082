"""Finds the leftovers of a cloud on the host, by its home folder and by the prefix of its names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from samovar.core.process import run


def leftovers(home: Path, prefix: str) -> list[str]:
    """One line for each thing; none is a clean host. `prefix` is that of the cloud's names: `samovar-1`.

    Looks for mounts (in any namespace), loop devices, processes, control groups, network namespaces, links, routes,
    claims, systemd units, and files of nspawn.
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
    yield from (f"network namespace {path.name}" for path in _of(Path("/run/netns"), prefix))
    yield from (f"nspawn {path}" for folder in Path("/run/systemd/nspawn").glob("*") for path in _of(folder, prefix))
    if cloud := re.fullmatch(r"samovar-(\d+)", prefix):
        yield from _of_number(int(cloud[1]))


def _of(folder: Path, prefix: str) -> Iterator[Path]:
    """`samovar-1-x` is of cloud 1, and `samovar-12-x` is not."""
    return (path for path in folder.glob(f"{prefix}*") if path.name == prefix or path.name.startswith(f"{prefix}-"))


def _of_number(number: int) -> Iterator[str]:
    """Find what has a cloud's number in another form: links, routes of its addresses, its claim."""
    yield from (f"link {path.name}" for path in Path("/sys/class/net").glob(f"smv{number}h*"))
    yield from (f"claim {path}" for path in Path("/run/samovar").glob(str(number)))
    routes = run(["ip", "route", "show", "table", "all"]).stdout.splitlines()
    yield from (f"route {line}" for line in routes if f"127.66.{number}." in line)


def _units(prefix: str) -> Iterator[str]:
    if Path("/run/systemd/system").is_dir():
        patterns = [f"{prefix}*", f"{prefix.replace('-', '_')}.slice"]
        yield from run(["systemctl", "list-units", "--all", "--no-legend", "--plain", *patterns]).stdout.splitlines()


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:  # it went while we looked
        return ""
