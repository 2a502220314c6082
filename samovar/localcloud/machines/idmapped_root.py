"""Lays a machine's root file system for a user namespace: an overlay whose two layers are idmapped mounts.

On disk everything belongs to uid 0 and its like, as without a namespace, so that images are made of disks as ever; in
the mounts it belongs to the machine's own range. The kernel idmaps no overlay itself, and ext4 since 5.12; an overlay
takes such layers since 5.19. Only newer programs than Debian 12's mount(8) do that, so this speaks to the kernel
(mount_setattr(2)).

Usage: idmapped_root.py FIRST_UID IMAGE DISK ROOT    with the image and the disk mounted already
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

RANGE = 65536

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_IDMAP = 0x100000
_CLONE_NEWUSER = 0x10000000
_PR_SET_KEEPCAPS = 8
_CAPABILITY_VERSION_3 = 0x20080522
_libc = ctypes.CDLL(None, use_errno=True)


class MountAttributes(ctypes.Structure):
    """struct mount_attr."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def lay(first_uid: int, image: Path, disk: Path, root: Path) -> None:
    """Mount the idmapped layers over the plain ones, and the overlay of them on `root`."""
    namespace = _user_namespace(first_uid)
    for layer in (image, disk):
        _idmap(layer, namespace)
    _become_root_of(first_uid)
    _mount_overlay(image, disk, root)


def _user_namespace(first_uid: int) -> int:
    """Return a descriptor of a user namespace with the range's mapping, whose only process has ended."""
    unshared, unsharing = os.pipe()
    go_on, mapped = os.pipe()
    child = os.fork()
    if not child:
        os.close(mapped)
        failed = _libc.unshare(_CLONE_NEWUSER)
        os.write(unsharing, b".")
        os.read(go_on, 1)
        os._exit(bool(failed))
    os.read(unshared, 1)
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{child}/{kind}").write_text(f"0 {first_uid} {RANGE}")
    namespace = os.open(f"/proc/{child}/ns/user", os.O_RDONLY)
    os.close(mapped)
    os.waitpid(child, 0)
    return namespace


def _idmap(mount_point: Path, namespace: int) -> None:
    path = os.fsencode(mount_point)
    tree = _call(_OPEN_TREE, _AT_FDCWD, path, _OPEN_TREE_CLONE | os.O_CLOEXEC)
    attributes = MountAttributes(attr_set=_MOUNT_ATTR_IDMAP, userns_fd=namespace)
    size = ctypes.sizeof(attributes)
    _call(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(attributes), size)
    _call(_MOVE_MOUNT, tree, b"", _AT_FDCWD, path, _MOVE_MOUNT_F_EMPTY_PATH)
    os.close(tree)


def _become_root_of(first_uid: int) -> None:
    """Take the range's first uid and keep all capabilities.

    The overlay writes to its layers as who mounted it. The host's root has no uid there: its first directory would
    fail with EOVERFLOW, and the kernel would mount the root read-only without a word to the caller.
    """
    _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(first_uid, first_uid, first_uid)
    os.setresuid(first_uid, first_uid, first_uid)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, for 32 capabilities each
    _checked(_libc.capget(header, sets))
    sets[0], sets[3] = sets[1], sets[4]
    _checked(_libc.capset(header, sets))


def _mount_overlay(image: Path, disk: Path, root: Path) -> None:
    options = f"lowerdir={image},upperdir={disk}/upper,workdir={disk}/work"
    _checked(_libc.mount(b"overlay", os.fsencode(root), b"overlay", 0, options.encode()))
    if os.statvfs(root).f_flag & os.ST_RDONLY:
        raise OSError(f"the kernel mounted {root} read-only: its log tells why")


def _call(number: int, *arguments: object) -> int:
    values = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _checked(_libc.syscall(ctypes.c_long(number), *values))


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


if __name__ == "__main__":
    lay(int(sys.argv[1]), *map(Path, sys.argv[2:]))
