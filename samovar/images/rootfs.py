"""Reads the files of an image's folder as they go into the image, whatever the umask of the clone.

Git keeps no more of a mode than the executable bit of the owner, so no more of it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from samovar.core.errors import ConfigError
from samovar.core.paths import LIBRARY, is_within
from samovar.images.definition import InputFile

OWNER = "root:root"


def read_rootfs(folder: Path) -> tuple[InputFile, ...]:
    """Return the files below `folder`, which need not be there; its root is the root of the image.

    Raises ConfigError for what git or a clone would not keep as it is: symbolic links, empty folders, byte code.
    """
    return tuple(_read(folder, path) for path in _regular(folder))


def read_folder(folder: Path) -> tuple[InputFile, ...]:
    """Return the files of `folder`, which need not be there and has no folders. Raises ConfigError."""
    for path in folder.glob("*/"):
        raise ConfigError(f"{path}: no folder may be here", remedy=f"put its files into {folder}")
    return read_rootfs(folder)


def read_input(source: Path) -> list[tuple[str, InputFile]]:
    """Return a file, with the path "", or the files of a folder but for byte code, each with its path in the folder.

    Raises ConfigError for a link out of the folder.
    """
    if not source.is_dir():
        return [("", _read(source.parent, source))]
    inner = sorted(path for path in source.rglob("*") if path.is_file() and not is_byte_code(path))
    refuse_links_out(source, inner)
    files = [_read(source, path) for path in inner]
    return [(file.target, file) for file in files]


def refuse_links_out(folder: Path, paths: Iterable[Path]) -> None:
    """Raise ConfigError where one of the paths in a folder is a link out of it: the file there is not the project's."""
    for path in paths:
        if path.is_symlink() and not is_within(path, folder):
            raise ConfigError(f"{path}: a link that leads out of {folder}", remedy="put the file itself there")


def _read(folder: Path, path: Path) -> InputFile:
    mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    return InputFile(f"/{path.relative_to(folder)}", mode, OWNER, path.read_bytes())


def _regular(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise ConfigError(
                f"{path}: a symbolic link", remedy=f"state it in image.yaml, links: {{{_target(folder, path)}: ...}}"
            )
        if is_byte_code(path) and path.is_relative_to(LIBRARY):
            continue  # pip compiles what it installs
        if is_byte_code(path):
            raise ConfigError(f"{path}: byte code of Python goes into no image", remedy=f"remove it: rm -r {path}")
        if path.is_dir():
            _require_content(path)
        elif path.is_file():
            yield path
        else:
            raise ConfigError(f"{path}: neither a file nor a folder", remedy="remove it")


def _target(folder: Path, path: Path) -> str:
    return f"/{path.relative_to(folder)}"


def _require_content(path: Path) -> None:
    if not any(path.iterdir()):
        raise ConfigError(
            f"{path}: an empty folder, which git does not keep", remedy="remove it, or let a script make it"
        )


def is_byte_code(path: Path) -> bool:
    """Return whether it is byte code of Python, or the folder of it: it goes into no image."""
    return "__pycache__" in path.parts or path.suffix == ".pyc"
