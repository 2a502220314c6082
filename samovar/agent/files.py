"""Files changed together: all of them, or none, also when the agent dies in between.

What the files held is written down before the first of them is touched; an agent that finds such a note undoes it.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path

from .errors import Wrong
from .render import File

NOTE = "/var/lib/samovar/undo.json"
ENCODING, ANY_BYTE = "utf-8", "surrogateescape"


class Files:
    """The files below `root` (`/` on a node)."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._note = self.path(NOTE)

    def path(self, target: str) -> Path:
        return self._root / target.lstrip("/")

    def read(self, target: str) -> File | None:
        path = self.path(target)
        try:
            content, status = path.read_text(encoding=ENCODING, errors=ANY_BYTE), path.stat()
        except FileNotFoundError:
            return None
        return File(target, content, status.st_mode & 0o7777, _owner(status))

    def change(self, files: Iterable[File], confirm: Callable[[list[str]], None]) -> bool:
        """Writes those that differ, and confirms them by their paths; an error of `confirm` undoes them all.

        False: none differed. Raises Wrong for an owner that does not exist.
        """
        changed = [file for file in files if self._differs(file)]
        if not changed:
            return False
        self._write_note(changed)
        try:
            for file in changed:
                self._write(file)
            confirm([file.path for file in changed])
        except BaseException:
            self.undo()
            raise
        self._note.unlink()
        return True

    def undo(self) -> None:
        """Takes back a change that was begun and not confirmed. A note cut short was written before any change."""
        try:
            note = json.loads(self._note.read_text())
        except FileNotFoundError:
            return
        except ValueError:
            note = {}
        for target, old in note.items():
            if old is None:
                self.path(target).unlink(missing_ok=True)
            else:
                self._write(File(**old))
        self._note.unlink()

    def _write_note(self, changed: Iterable[File]) -> None:
        old = {file.path: self.read(file.path) for file in changed}
        note = {target: file and asdict(file) for target, file in old.items()}
        self._write(File(NOTE, json.dumps(note), 0o600))

    def _differs(self, file: File) -> bool:
        found = self.read(file.path)
        return found is None or found != replace(file, owner=file.owner or found.owner)

    def _write(self, file: File) -> None:
        path = self.path(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.samovar")
        partial.touch(mode=0o600)
        if file.owner:
            _give(partial, file.owner)
        partial.write_text(file.content, encoding=ENCODING, errors=ANY_BYTE)
        partial.chmod(file.mode)
        partial.replace(path)


def _owner(status: os.stat_result) -> str:
    """By their names, or as numbers where there is no name."""
    try:
        user = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        user = str(status.st_uid)
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    return f"{user}:{group}"


def _give(path: Path, owner: str) -> None:
    user, group = (int(name) if name.isdigit() else name for name in owner.split(":"))
    try:
        shutil.chown(path, user, group)
    except LookupError as error:
        raise Wrong(f"owner {owner}: {error}") from error
