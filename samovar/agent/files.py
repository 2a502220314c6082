"""Changes several files together: all of them or none, also when the agent dies in between.

The old content is written to an undo file before the first file is changed. An agent that starts undoes such a change.
A file may be in a folder of its service, which could put a link in its place: none is followed.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import stat
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path

from .render import File
from .role import InvalidConfig

UNDO = "/var/lib/samovar/undo.json"
ENCODING, ANY_BYTE = "utf-8", "surrogateescape"


class Files:
    """The files below `root`, which is `/` on a machine."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._undo_file = self.path(UNDO)

    def path(self, target: str) -> Path:
        return self._root / target.lstrip("/")

    def read(self, target: str) -> File | None:
        """Return a file; None where there is none, or something else."""
        try:
            with os.fdopen(_opened(self.path(target)), encoding=ENCODING, errors=ANY_BYTE) as file:
                content, status = file.read(), os.fstat(file.fileno())
        except FileNotFoundError:
            return None
        return File(target, content, status.st_mode & 0o7777, _owner(status))

    def change(self, files: Iterable[File], confirm: Callable[[list[str]], None]) -> bool:
        """Write the files that differ and call `confirm` with their paths; if that raises, all are undone.

        Returns False if none differed. Raises InvalidConfig for an owner that does not exist.
        """
        changed = [file for file in files if self._differs(file)]
        if not changed:
            return False
        self._write_undo_file(changed)
        try:
            for file in changed:
                self._write(file)
            confirm([file.path for file in changed])
        except BaseException:
            self.undo()
            raise
        self._undo_file.unlink()
        return True

    def edited(self, files: Iterable[File]) -> list[str]:
        """Return the paths of those that are gone, or whose content is another one."""
        return [file.path for file in files if not (now := self.read(file.path)) or now.content != file.content]

    def undo(self) -> None:
        """Undo a change that was not confirmed. An undo file that is cut short was written before any change."""
        try:
            undo = json.loads(self._undo_file.read_text())
        except FileNotFoundError:
            return
        except ValueError:
            undo = {}
        for target, old in undo.items():
            if old is None:
                self.path(target).unlink(missing_ok=True)
            else:
                self._write(File(**old))
        self._undo_file.unlink()

    def _write_undo_file(self, changed: Iterable[File]) -> None:
        old = {file.path: self.read(file.path) for file in changed}
        undo = {target: file and asdict(file) for target, file in old.items()}
        self._write(File(UNDO, json.dumps(undo), 0o600))

    def _differs(self, file: File) -> bool:
        current = self.read(file.path)
        return current is None or current != replace(file, owner=file.owner or current.owner)

    def _write(self, file: File) -> None:
        path = self.path(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.samovar")
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding=ENCODING, errors=ANY_BYTE) as new:
            if file.owner:
                _change_owner(descriptor, file.owner)
            new.write(file.content)
            os.fchmod(descriptor, file.mode)
        partial.replace(path)


def _opened(path: Path) -> int:
    if not stat.S_ISREG(path.lstat().st_mode):
        raise FileNotFoundError(path)
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)


def _owner(status: os.stat_result) -> str:
    """Return `user:group`, by name, or by number if there is no name."""
    try:
        user = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        user = str(status.st_uid)
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    return f"{user}:{group}"


def _change_owner(descriptor: int, owner: str) -> None:
    user, group = (int(name) if name.isdigit() else name for name in owner.split(":"))
    try:
        shutil.chown(descriptor, user, group)
    except LookupError as error:
        raise InvalidConfig(f"owner {owner}: {error}") from error
