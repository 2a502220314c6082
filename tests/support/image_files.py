"""Lists the files of an image, so that two images can be compared."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

LIST = r"""
mount -o ro,loop "$1" /mnt && cd /mnt
find . -mindepth 1 -printf '%y %m %U:%G %l\t%P\n'
echo
find . -type f -print0 | sort -z | xargs -0 sha256sum
"""


@dataclass(frozen=True)
class Entry:
    """A file, folder or link: its kind, mode, owner and target, and a file's sha256."""

    about: str
    digest: str = ""


def image_files(raw: Path) -> dict[str, Entry]:
    """Returns the entries of an image by path; it is mounted for that alone."""
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", LIST, "sh", str(raw)]
    output = subprocess.run(argv, capture_output=True, check=True, timeout=600).stdout.decode(errors="surrogateescape")
    listed, _, sums = output.partition("\n\n")
    digests = {path.removeprefix("./"): digest for digest, _, path in (s.partition("  ") for s in sums.splitlines())}
    rows = (line.partition("\t") for line in listed.splitlines())
    return {path: Entry(about.strip(), digests.get(path, "")) for about, _, path in rows}


def differences(one: dict[str, Entry], other: dict[str, Entry]) -> dict[str, tuple[Entry | None, Entry | None]]:
    """Returns the paths at which two images differ, with the entry of each."""
    return {
        path: (one.get(path), other.get(path))
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    }
