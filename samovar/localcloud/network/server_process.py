"""Builds the command lines of a network's servers: unprivileged, with one folder of the home mounted.

The home is closed to all but root. A mount namespace of their own shows them the network's folder, on FOLDER; the
host's unmounts reach into it, so that it keeps nothing busy. Both are of SERVER_GROUP, which may read the folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path("/mnt")
"""Where a server sees the network's folder."""
DNSMASQ_USER, SERVER_GROUP = "dnsmasq", "nogroup"
"""As Debian's dnsmasq-base makes them; dnsmasq takes a user by name alone."""
GROUP_ID = 65534
PASTA_UID = 0x7800_0000
"""Nobody's: just below those that machines with users of their own have."""

_SHOW_FOLDER = f'mount --bind "$0" {FOLDER} && exec "$@"'
# Where no udev has opened the host's node to all users. TUNSETIFF asks for CAP_NET_ADMIN all the same.
_WITH_TUN = "mount -t tmpfs -o mode=755 tmpfs /dev/net && mknod -m 666 /dev/net/tun c 10 200 && " + _SHOW_FOLDER
_APART = ("unshare", "--mount", "--propagation", "slave", "sh", "-c")
_AS_PASTA = (
    *("setpriv", f"--reuid={PASTA_UID}", f"--regid={GROUP_ID}", "--clear-groups"),
    # To enter the network's namespace, and to make an interface in it; it gives up the latter by itself.
    *("--inh-caps=-all,+sys_admin,+net_admin", "--ambient-caps=+sys_admin,+net_admin"),
    "--bounding-set=-all,+sys_admin,+net_admin",
)


def open_to_servers(folder: Path) -> None:
    """Let the servers read what is in the folder; `with_folder` lets them reach it."""
    os.chown(folder, 0, GROUP_ID)
    folder.chmod(0o750)


def with_folder(folder: Path, argv: Sequence[str]) -> tuple[str, ...]:
    """Return an argv that starts `argv` as root with the folder on FOLDER; dnsmasq drops to its user by itself."""
    return (*_APART, _SHOW_FOLDER, str(folder), *argv)


def as_pasta(folder: Path, argv: Sequence[str]) -> tuple[str, ...]:
    """Return the same for pasta's own user, for pasta gives up root before it could enter a namespace."""
    return (*_APART, _WITH_TUN, str(folder), *_AS_PASTA, *argv)


def give_to_pasta(file: Path) -> None:
    """Create the file where there is none, and make pasta its owner."""
    file.touch(mode=0o640)
    os.chown(file, PASTA_UID, GROUP_ID)
