"""Builds a program of Python into one executable file, with the libraries that it takes along."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from samovar.core.errors import ConfigError
from samovar.project.application import Zipapp

SHEBANG = b"#!/usr/bin/python3 -I\n"
MAIN = "import sys\n\nfrom {module} import {function}\n\nsys.exit({function}(sys.argv[1:]))\n"
OLDEST_TIME = (1980, 1, 1, 0, 0, 0)


def build_zipapp(source: Path, zipapp: Zipapp) -> bytes:
    """Return one executable file with the package `source` and its libraries: the same bytes wherever it is built.

    Nothing is compressed: that would depend on the host's zlib. Raises ConfigError.
    """
    module, _, function = zipapp.main.partition(":")
    main = MAIN.format(module=module, function=function).encode()
    libraries = [file for library in zipapp.libraries for file in _library(library)]
    buffer = io.BytesIO(SHEBANG)
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for name, data in sorted([("__main__.py", main), *_package(source), *libraries]):
            archive.writestr(zipfile.ZipInfo(name, OLDEST_TIME), data)
    return buffer.getvalue()


def _package(source: Path) -> Iterator[tuple[str, bytes]]:
    files = [path for path in source.rglob("*.py") if path.is_file()]
    if not files:
        raise ConfigError(f"{source}: has no module of Python", remedy="correct application.zipapp.source")
    for path in files:
        yield f"{source.name}/{path.relative_to(source).as_posix()}", path.read_bytes()


def _library(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield its modules, and of what is written about them the names, versions and licences."""
    try:
        files = distribution(name).files or ()
    except PackageNotFoundError as error:
        raise ConfigError(
            f"zipapp: the library {name} is not installed beside samovar", remedy=f"pip install {name}, or remove it"
        ) from error
    for file in files:
        about = file.parts[0].endswith(".dist-info")
        if file.suffix == ".py" or (about and (file.name == "METADATA" or "LICENSE" in file.name.upper())):
            yield file.as_posix(), file.read_binary()
