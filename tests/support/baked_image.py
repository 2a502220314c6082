"""Baked images, looked at without a machine."""

from __future__ import annotations

import subprocess

from samovar.images.store import BakedImage


def inside(image: BakedImage, command: str) -> str:
    """What a shell command says in the image, which is mounted for it alone."""
    mount = 'mount -o ro,loop "$1" /mnt && exec chroot /mnt sh -c "$2"'
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mount, "sh", str(image.raw), command]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
