"""Data disks are taken over and mended by functions that all programs share."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from samovar.core.paths import LIBRARY

FUNCTIONS = LIBRARY / "images/base/rootfs/usr/lib/samovar/data-disk.sh"
FORMER, OTHER = 4242, 4243


def call(function: str, *arguments: str | Path) -> None:
    command = ["bash", "-euo", "pipefail", "-c", '. "$0"; "$@"', FUNCTIONS, function, *arguments]
    subprocess.run(command, check=True)


def owners(folder: Path) -> dict[str, int]:
    return {path.name: path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


def test_a_folder_is_taken_over_with_what_its_former_owner_had(tmp_path: Path) -> None:
    """A user has another number in another image; what belongs to others stays theirs."""
    folder = tmp_path / "data"
    for name, owner in (("sub", FORMER), ("sub/file", FORMER), ("others", OTHER), ("", FORMER)):
        path = folder / name
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, owner, owner)
    call("take_over", folder, "daemon:daemon")
    daemon = folder.stat().st_uid
    assert owners(folder) == {"data": daemon, "sub": daemon, "file": daemon, "others": OTHER}
    assert folder.owner() == "daemon"


def test_a_folder_of_root_s_is_given_without_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    call("take_over", tmp_path, "daemon:daemon")
    assert (tmp_path.owner(), (tmp_path / "file").owner()) == ("daemon", "root")


def test_a_file_system_that_is_marked_as_damaged_is_mended(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    subprocess.run(["mkfs.ext4", "-q", disk, "8M"], check=True)
    subprocess.run(["debugfs", "-w", "-R", "set_super_value state 2", disk], check=True)
    call("mend_ext4", disk)
    assert "with errors" not in subprocess.check_output(["dumpe2fs", "-h", disk], text=True)
