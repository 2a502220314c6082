"""The Go toolchain: this host's, or that of Debian's packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.support.oci import unpacked_package


def go_path(folder: Path) -> str:
    """Return the PATH with `go` on it. Where the host has none, Debian's is unpacked below `folder`."""
    path = os.environ["PATH"]
    return path if shutil.which("go") else f"{_unpacked(folder) / 'bin'}:{path}"


def _unpacked(folder: Path) -> Path:
    depends = subprocess.run(["apt-cache", "depends", "golang-go"], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"golang-([\d.]+)-(?:go|src)\b", depends)
    program, source = (unpacked_package(f"golang-{names[0]}-{part}", folder) for part in ("go", "src"))
    root = folder / f"go-{names[0]}"
    for tree in (
        source / f"usr/share/go-{names[0]}",
        program / f"usr/share/go-{names[0]}",
        program / f"usr/lib/go-{names[0]}",
    ):
        shutil.copytree(tree, root, symlinks=True, dirs_exist_ok=True)
    return root
