"""Loop devices that last as long as a process holds them open: nothing of a machine is left to detach.

The `losetup` program cannot make these in one step, so this speaks to the kernel (loop(4)).
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from samovar.core.errors import HostError
from samovar.core.kernel import LOOP_CONTROL

SYS_BLOCK = Path("/sys/block")

_CTL_GET_FREE = 0x4C82
_CONFIGURE = 0x4C0A
_GET_STATUS64 = 0x4C05
_SET_CAPACITY = 0x4C07
_READ_ONLY = 1
_AUTOCLEAR = 4
_INFO64 = struct.Struct("5Q4I64s64s32s2Q")  # struct loop_info64
_CONFIG = struct.Struct(f"2I{_INFO64.size}s8Q")  # struct loop_config
_ATTEMPTS = 32  # others take free devices too
_PAUSE = 0.002  # seconds


@contextmanager
def attached(file: Path, *, read_only: bool = False) -> Iterator[Path]:
    """Yield a loop device on `file`; whoever opened or mounted it by the end of the context keeps it alive.

    Raises HostError. A read-only file has one device for all who ask: mounts of one device share one page cache.
    """
    try:
        device, held = (_attached_already(file, _AUTOCLEAR | _READ_ONLY) if read_only else None) or _make(
            file, read_only=read_only
        )
    except OSError as error:
        raise HostError(f"no loop device on {file}: {error.strerror}") from error
    try:
        yield device
    finally:
        os.close(held)


def device_on(file: Path) -> Path | None:
    """Return the writable loop device that a machine has on `file`."""
    attachment = _attached_already(file, _AUTOCLEAR)
    if attachment is None:
        return None
    device, descriptor = attachment
    os.close(descriptor)
    return device


def show_new_size(file: Path) -> None:
    """Let a machine that has a device on `file` see that the file has grown."""
    if attachment := _attached_already(file, _AUTOCLEAR):
        _, descriptor = attachment
        try:
            fcntl.ioctl(descriptor, _SET_CAPACITY)
        finally:
            os.close(descriptor)


def _make(file: Path, *, read_only: bool) -> tuple[Path, int]:
    mode = os.O_RDONLY if read_only else os.O_RDWR
    backing = os.open(file, mode | os.O_CLOEXEC)
    try:
        for _ in range(_ATTEMPTS):
            device = _free()
            held = os.open(device, mode | os.O_CLOEXEC)
            if _configure(held, backing, file, read_only=read_only):
                return device, held
            os.close(held)
            time.sleep(_PAUSE)
    finally:
        os.close(backing)
    raise OSError(errno.EBUSY, "no free loop device", str(file))


def _free() -> Path:
    control = os.open(LOOP_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        return Path(f"/dev/loop{fcntl.ioctl(control, _CTL_GET_FREE)}")
    finally:
        os.close(control)


def _configure(device: int, backing: int, file: Path, *, read_only: bool) -> bool:
    """Return False where another process took the device first."""
    flags = _AUTOCLEAR | (_READ_ONLY if read_only else 0)
    name = os.fsencode(file)[-63:]
    info = _INFO64.pack(0, 0, 0, 0, 0, 0, 0, 0, flags, name, b"", b"", 0, 0)
    try:
        fcntl.ioctl(device, _CONFIGURE, _CONFIG.pack(backing, 0, info, *(8 * (0,))))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        raise
    return True


def _attached_already(file: Path, flags: int) -> tuple[Path, int] | None:
    """Return a device with such flags that is on `file` already, opened so that it stays."""
    name, status = str(file.resolve()), file.stat()
    expected = (status.st_dev, status.st_ino, flags)
    for entry in SYS_BLOCK.glob("loop*/loop/backing_file"):
        with suppress(OSError):  # any of them may go while we look
            if entry.read_text().rstrip("\n") != name:
                continue
            device = Path("/dev") / entry.parent.parent.name
            held = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
            if _backing(held) == expected:
                return device, held
            os.close(held)
    return None


def _backing(device: int) -> tuple[int, int, int] | None:
    """Return device and inode number of its file, and the loop device's flags; None if it lost its file meanwhile."""
    info = bytearray(_INFO64.size)
    try:
        fcntl.ioctl(device, _GET_STATUS64, info)
    except OSError:
        return None
    fields = _INFO64.unpack(bytes(info))
    return fields[0], fields[1], fields[8]
