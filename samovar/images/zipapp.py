"""Builds a program of Python into one executable file, with the libraries that it takes along."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from samovar.core.errors import ConfigError
from samovar.images.definition import Script
from samovar.images.rootfs import refuse_links_out
from samovar.project.application import Zipapp

PYTHON = "/usr/bin/python3 -I"
MAIN = "import sys\n\nfrom {module} import {function}\n\nsys.exit({function}(sys.argv[1:]))\n"
OLDEST_TIME = (1980, 1, 1, 0, 0, 0)
BYTE_CODE = """\
python3 -m zipfile --extract {target} /tmp/zipapp
python3 -m compileall -q -b --invalidation-mode unchecked-hash -s /tmp/zipapp -p {target} /tmp/zipapp || true
python3 -m zipapp --python "{python}" --output {target} /tmp/zipapp
"""
"""What does not compile is left as it is: a library may have files for another Python."""


def build_zipapp(source: Path, zipapp: Zipapp) -> bytes:
    """Return one executable file with the package `source` and its libraries: the same bytes wherever it is built.

    Nothing is compressed: that would depend on the host's zlib. Raises ConfigError.
    """
    module, _, function = zipapp.main.partition(":")
    main = MAIN.format(module=module, function=function).encode()
    libraries = [file for library in zipapp.libraries for file in _library(library)]
    buffer = io.BytesIO(f"#!{PYTHON}\n".encode())
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for name, data in sorted([("__main__.py", main), *_package(source), *libraries]):
            archive.writestr(zipfile.ZipInfo(name, OLDEST_TIME), data)
    return buffer.getvalue()


def byte_code(target: str) -> Script:
    """Return the script of a bake that puts byte code of the image's Python beside each module.

    Python keeps none for a zip file: without it each start compiles all modules anew.
    """
    return Script("byte-code", BYTE_CODE.format(target=target, python=PYTHON).encode())


def _package(source: Path) -> Iterator[tuple[str, bytes]]:
    files = [path for path in source.rglob("*.py") if path.is_file()]
    if not files:
        raise ConfigError(f"{source}: has no module of Python", remedy="correct application.zipapp.source")
    refuse_links_out(source, files)
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
