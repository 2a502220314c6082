"""Tarballs and folders of an application as they go into the image: all is root's, and nothing leads out of it."""

from __future__ import annotations

import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from samovar.core.errors import ConfigError
from samovar.images.rootfs import is_byte_code

UNREADABLE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError)
EXECUTABLE, PLAIN = 0o755, 0o644
SETID = 0o6000
BLOCK = 1 << 20


def repack(tarball: Path, target: str, out: Path, *, name: str) -> None:
    """Write to `out` what the tarball holds, below the path `target`; `name` stands in errors.

    Raises ConfigError that names what no image takes: a path or a link that leads out of it, a device, a setuid bit.
    """
    try:
        with tarfile.open(tarball) as given, tarfile.open(out, "w") as tar:
            entries = _entries(given, name)
            for entry in entries:
                content = given.extractfile(entry) if entry.isreg() else None
                tar.addfile(_normal(entry, target), content)
    except UNREADABLE as error:
        raise ConfigError(f"{name}: not a tarball, or damaged: {error}", remedy="pack it anew") from error


def pack(folder: Path, target: str, out: IO[bytes]) -> None:
    """Write what the folder holds, but for byte code of Python, below the path `target`: always the same bytes.

    Raises ConfigError as `repack` does, and for an empty folder.
    """
    paths = [path for path in sorted(folder.rglob("*")) if not is_byte_code(path)]
    entries = [_entry(folder, path) for path in paths]
    _require_fit(entries, str(folder))
    with tarfile.open(fileobj=out, mode="w|") as tar:
        for path, entry in zip(paths, entries, strict=True):
            if entry.isreg():
                with path.open("rb") as content:
                    tar.addfile(_normal(entry, target), content)
            else:
                tar.addfile(_normal(entry, target))


def folder_sha256(folder: Path) -> str:
    """Return the sha256, in hex, of all that the folder holds. Raises ConfigError as `pack` does."""
    sum_ = _Sum()
    pack(folder, "/", sum_)  # type: ignore[arg-type] # tarfile asks a stream for `write` alone
    return sum_.sha256.hexdigest()


class _Sum:
    """A file of which only the sha256 is kept."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return len(data)


def _entries(tar: tarfile.TarFile, name: str) -> list[tarfile.TarInfo]:
    entries = [entry for entry in tar if PurePosixPath(entry.name) != PurePosixPath()]
    _require_fit(entries, name)
    while tar.fileobj.read(BLOCK):  # behind the last entry it may be cut short, too
        pass
    return entries


def _require_fit(entries: list[tarfile.TarInfo], name: str) -> None:
    if not entries:
        raise ConfigError(f"{name}: holds nothing", remedy="give what holds the application")
    for fault in faults(entries):
        raise ConfigError(
            f"{name}: {fault}", remedy="pack it anew without that: an image takes files, folders and links"
        )


def faults(entries: Iterable[tarfile.TarInfo]) -> Iterator[str]:
    """Yield what no image takes of the entries of a tarball, a sentence each."""
    entries = tuple(entries)
    links = {PurePosixPath(entry.name) for entry in entries if entry.issym()}
    for entry in entries:
        path = PurePosixPath(entry.name)
        if path.is_absolute() or ".." in path.parts:
            yield f"{entry.name} leads out of the tarball"
        elif links & {*path.parents}:
            yield f"{entry.name} lies behind a symbolic link"
        elif entry.islnk() and PurePosixPath(entry.linkname) in links:
            yield f"{entry.name} is a hard link to a symbolic link"
        else:
            yield from _fault(entry)


def _fault(entry: tarfile.TarInfo) -> Iterator[str]:
    if entry.issym() and _leads_out(PurePosixPath(entry.name).parent, PurePosixPath(entry.linkname)):
        yield f"the symbolic link {entry.name} leads out of it, to {entry.linkname}"
    elif entry.islnk() and _leads_out(PurePosixPath(), PurePosixPath(entry.linkname)):
        yield f"the hard link {entry.name} leads out of it, to {entry.linkname}"
    elif not (entry.isreg() or entry.isdir() or entry.issym() or entry.islnk()):
        yield f"{entry.name} is a device or a pipe"
    elif entry.mode & SETID and entry.isreg():
        yield f"{entry.name} has a setuid or setgid bit"


def _leads_out(folder: PurePosixPath, link: PurePosixPath) -> bool:
    """Return whether a link of a folder leads out. Its `..` must come first: behind a name they could be a link's."""
    ups = [part == ".." for part in link.parts]
    return link.is_absolute() or ups != sorted(ups, reverse=True) or sum(ups) > len(folder.parts)


def _normal(entry: tarfile.TarInfo, target: str) -> tarfile.TarInfo:
    """Return the entry below `target`: root's, without a time, and with a mode that no umask has changed."""
    normal = tarfile.TarInfo(_below(target, entry.name))
    normal.type, normal.size = entry.type if not entry.isreg() else tarfile.REGTYPE, entry.size if entry.isreg() else 0
    normal.linkname = _below(target, entry.linkname) if entry.islnk() else entry.linkname
    normal.mode = EXECUTABLE if entry.isdir() or entry.mode & 0o111 else PLAIN
    return normal


def _below(target: str, name: str) -> str:
    return str(PurePosixPath(target.lstrip("/")) / name)


def _entry(folder: Path, path: Path) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
    if path.is_symlink():
        entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
    elif path.is_dir():
        entry.type = tarfile.DIRTYPE
    elif path.is_file():
        entry.size = path.stat().st_size
    else:
        entry.type = tarfile.FIFOTYPE
    entry.mode = 0o777 & path.lstat().st_mode | path.lstat().st_mode & SETID if entry.isreg() else EXECUTABLE
    return entry
