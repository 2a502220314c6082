"""Freezes a mounted file system, and thaws it on request, when its parent has ended, or at its deadline.

It is a process of its own, so that no death of the daemon leaves a machine frozen. It ends by no signal but SIGKILL.
Usage: freezer.py MOUNT_POINT DEVICE_NUMBER SECONDS
It writes `frozen` once nothing more is written. When its stdin ends it thaws, and writes `held SECONDS`; at the
deadline, or where another process thawed the file system, `lost SECONDS`.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import sys
import time

FIFREEZE, FITHAW = 0xC0045877, 0xC0045878  # linux/fs.h


def main(mount_point: str, device: int, seconds: float) -> None:
    """Most of what is not written yet is written before the file system is frozen: that shortens the freeze."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    root = os.open(mount_point, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    if os.fstat(root).st_dev != device:  # a machine may put a symbolic link to a folder of the host there
        sys.exit(f"{mount_point} is not on the disk")
    ctypes.CDLL(None).syncfs(root)
    began = time.monotonic()
    fcntl.ioctl(root, FIFREEZE, 0)
    held = False
    try:
        _report("frozen")
        held = bool(select.select([0], [], [], max(0.0, began + seconds - time.monotonic()))[0])
    finally:
        held = _thaw(root) and held
        _report(f"{'held' if held else 'lost'} {time.monotonic() - began:.3f}")


def _thaw(root: int) -> bool:
    """False where it is not frozen any more."""
    try:
        fcntl.ioctl(root, FITHAW, 0)
    except OSError:
        return False
    return True


def _report(word: str) -> None:
    """Write a line, which may have no reader any more."""
    try:
        os.write(1, f"{word}\n".encode())
    except OSError:
        return


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
