"""The folders of this user: one for what can be made again, one for what must be kept."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

from samovar.core.errors import HostError

PACKAGE = Path(__file__).resolve().parent.parent
"""The folder of the package `samovar`. What it is in goes on the PYTHONPATH of a process that imports it."""
LIBRARY = PACKAGE / "library"
"""What every project shares: images, kinds of group, load profiles, and the template of user-data."""


def cache_dir() -> Path:
    """Return the folder of what can be made again at any time: baked trees and images, package files."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "samovar"


def default_home() -> Path:
    """Return the home folder of the local cloud that a person uses; tests make others beside it."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "samovar" / "cloud"


def require_linux(what: str, remedy: str) -> None:
    """Raise HostError on any other system: `what` is made of Linux's namespaces and control groups."""
    if sys.platform != "linux":
        raise HostError(f"{what} takes Linux, and this is {sys.platform}", remedy=remedy)


def require_own(folder: Path) -> None:
    """Raise HostError where we are root and another user owns `folder` or one above it.

    He could put something else in its place while root mounts and runs what is there: so it is where `sudo` keeps HOME.
    """
    if os.geteuid() != 0:
        return
    for place in (folder.resolve(), *folder.resolve().parents):
        if place.exists() and (owner := place.stat().st_uid):
            raise HostError(
                f"{folder}: {place} belongs to {_user(owner)}, who could change there what root runs",
                remedy="use root's own, as sudo -H does; or name others: --home, XDG_STATE_HOME, XDG_CACHE_HOME",
            )


def is_within(path: Path, *folders: Path) -> bool:
    """Return whether a path lies in one of the folders once all links are followed."""
    real = path.resolve()
    return any(real.is_relative_to(folder.resolve()) for folder in folders)


def foreign_owner(file: Path) -> str:
    """Return the name of a file's owner; empty where that is we, root, or the user who called `sudo`."""
    owner = file.lstat().st_uid
    return "" if owner in {0, os.geteuid(), int(os.environ.get("SUDO_UID") or 0)} else _user(owner)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
