"""Files changed together: all of them, or none, also when the agent dies in between.

What the files held is written down before the first of them is touched; an agent that finds such a note undoes it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

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
            return File(target, path.read_text(encoding=ENCODING, errors=ANY_BYTE), path.stat().st_mode & 0o7777)
        except FileNotFoundError:
            return None

    def change(self, files: Iterable[File], confirm: Callable[[], None]) -> bool:
        """Writes those that differ and confirms them; an error of `confirm` undoes them all. False: none differed."""
        changed = [file for file in files if self.read(file.path) != file]
        if not changed:
            return False
        self._write_note(changed)
        try:
            for file in changed:
                self._write(file)
            confirm()
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
                self._write(File(target, **old))
        self._note.unlink()

    def _write_note(self, changed: Iterable[File]) -> None:
        old = {file.path: self.read(file.path) for file in changed}
        note = {target: file and {"content": file.content, "mode": file.mode} for target, file in old.items()}
        self._write(File(NOTE, json.dumps(note), 0o600))

    def _write(self, file: File) -> None:
        path = self.path(file.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.samovar")
        partial.touch(mode=0o600)
        partial.write_text(file.content, encoding=ENCODING, errors=ANY_BYTE)
        partial.chmod(file.mode)
        partial.replace(path)
