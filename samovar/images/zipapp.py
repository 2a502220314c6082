"""Makes the stand-in for bingo: one executable file of Python's zipapp kind, the same bytes wherever it is made."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from samovar.core.paths import PACKAGE

SOURCE = PACKAGE.parent / "images" / "standin"
LIBRARIES = ("asn1crypto", "h11", "pg8000", "python-dateutil", "PyYAML", "scramp")
"""Pure Python, but for PyYAML's optional parts in C, which stay out; at the versions of the lock."""
SHEBANG = b"#!/usr/bin/python3 -I\n"
MAIN = b"import sys\n\nfrom standin.cli import main\n\nsys.exit(main(sys.argv[1:]))\n"
ANCIENT = (1980, 1, 1, 0, 0, 0)


def standin(source: Path = SOURCE) -> bytes:
    """The file's content. Nothing is compressed: that would depend on the host's zlib."""
    buffer = io.BytesIO(SHEBANG)
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for name, data in sorted([("__main__.py", MAIN), *_own(source), *_libraries()]):
            archive.writestr(zipfile.ZipInfo(name, ANCIENT), data)
    return buffer.getvalue()


def _own(source: Path) -> Iterator[tuple[str, bytes]]:
    for file in source.glob("*.py"):
        yield f"standin/{file.name}", file.read_bytes()


def _libraries() -> Iterator[tuple[str, bytes]]:
    """Their modules, and of what is written about them their names, versions and licences."""
    for library in LIBRARIES:
        for file in distribution(library).files or ():
            about = file.parts[0].endswith(".dist-info")
            if file.suffix == ".py" or (about and (file.name == "METADATA" or "LICENSE" in file.name.upper())):
                yield file.as_posix(), file.read_binary()
