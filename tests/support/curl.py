"""Debian 13's curl, which speaks HTTP/3, out of the image `base`: it runs in this host's network, over loopback."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

STAGE = """
mount -o ro,loop "$1" /mnt
mount -t tmpfs tmpfs /mnt/tmp
mount --bind /dev /mnt/dev
shift
exec chroot /mnt curl --silent --show-error --insecure --max-time 20 --write-out '%{http_version} %{remote_ip}\\n' "$@"
"""


OFFERS = ("--alt-svc", "/tmp/offers")  # noqa: S108 - of the file system that is mounted for it
"""Takes up what Alt-Svc offers."""


def curl(base: Path, *urls: str, options: Sequence[str] = ()) -> list[tuple[str, str]]:
    """The version of HTTP and the address with which each of the URLs was answered, by one curl."""
    arguments = (*options, *(word for url in urls for word in ("--output", "/dev/null", url)))
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", STAGE, "sh", str(base)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    fields = [line.split() for line in done.stdout.splitlines()]
    return [(version, address) for version, address in fields]
