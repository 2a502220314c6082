"""Collects the logs that explain a failed test, before its environment is removed.

Consoles, journals and logs of nginx of the machines of every local cloud below pytest's folder, logs of their daemons,
and the folders that a test added by itself. All of it is bounded in size and time.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.support.run_in_machine import in_machine

LONGEST_FILE = 512 << 10
LONGEST_TOTAL = 32 << 20
LONGEST_WAIT = 60.0
"""Seconds for all machines together."""
TAIL = 40
"""Lines of each file that a report shows on CI, where nobody can open the folder."""
JOURNAL = ("journalctl", "--no-pager", "--output=short-precise", "--lines=5000")
NGINX = tuple(f"/var/log/nginx/{name}.log" for name in ("access", "peer", "error"))
LOGS = ("tail", "--verbose", "--bytes=150K", *NGINX)

_added: list[Path] = []


def add_folder(folder: Path) -> None:
    """Collect the files in it as well, until the next test starts."""
    if folder not in _added:
        _added.append(folder)


def forget_folders() -> None:
    _added.clear()


def collect_early(folder: Path) -> None:
    """Collect from the homes in `folder`, whose clouds end before the report of the test."""
    early = folder / "evidence"
    collect(folder.parent, early)
    add_folder(early)


def collect(below: Path, folder: Path) -> list[Path]:
    """Copy what there is of the homes `below` that folder into `folder`; the files that came of it."""
    end = time.monotonic() + LONGEST_WAIT
    for home in _homes(below):
        kept = folder / home.relative_to(below)
        for machine in sorted((home / "machines").iterdir()):
            _machine(machine, kept / machine.name, end)
        _copy(home / "daemon.log", kept / "daemon.log")
    for added in _added:
        for file in added.rglob("*"):
            _copy(file, folder / added.name / file.relative_to(added))
    return _bounded(sorted(file for file in folder.rglob("*") if file.is_file()))


def report(files: list[Path], folder: Path) -> str:
    """Return the path of the files, and on CI their last lines."""
    lines = [f"{len(files)} files in {folder}"]
    for file in files if os.environ.get("CI") == "true" else []:
        lines += [f"--- {file.relative_to(folder)}", *file.read_text(errors="replace").splitlines()[-TAIL:]]
    return "\n".join(lines)


def _homes(below: Path) -> list[Path]:
    """Return the folders of local clouds, and of machines without one."""
    return sorted(
        folder for pattern in ("*", "*/home") for folder in below.glob(pattern) if (folder / "machines").is_dir()
    )


def _machine(machine: Path, folder: Path, end: float) -> None:
    _copy(machine / "console", folder / "console")
    if pid := _init(machine):
        _output_of(pid, JOURNAL, folder / "journal", end)
        _output_of(pid, LOGS, folder / "nginx.log", end)


def _output_of(pid: int, command: tuple[str, ...], target: Path, end: float) -> None:
    """Return the output of a command inside the machine, within the deadline."""
    if (left := end - time.monotonic()) <= 0:
        return
    inside = ("timeout", f"{left:.0f}", *in_machine(pid, *command))
    with suppress(OSError):
        done = subprocess.run(inside, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        _write(target, done.stdout)


def _init(machine: Path) -> int | None:
    """The pid on the host of a machine's init: the child of the nspawn that was told that folder."""
    output = re.compile(re.escape(os.fsencode(f"{machine}/")))
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if b"systemd-nspawn" in command and output.search(command):
                children = (process / f"task/{process.name}/children").read_text().split()
                return int(children[0]) if children else None
    return None


def _copy(source: Path, target: Path) -> None:
    with suppress(OSError), source.open("rb") as file:
        file.seek(max(0, source.stat().st_size - LONGEST_FILE))
        _write(target, file.read(LONGEST_FILE))


def _write(target: Path, text: bytes) -> None:
    if text:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text[-LONGEST_FILE:])


def _bounded(files: list[Path]) -> list[Path]:
    """Return as many files as fit, the smallest first; the others are removed."""
    kept, room = [], LONGEST_TOTAL
    for file in sorted(files, key=lambda file: file.stat().st_size):
        room -= file.stat().st_size
        if room >= 0:
            kept.append(file)
        else:
            file.unlink()
    return sorted(kept)
