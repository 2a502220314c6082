"""The program that an image ships: fetched by its url and known by its sha256, or built as a zipapp."""

from __future__ import annotations

import hashlib
import io
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from samovar.core.errors import ConfigError
from samovar.core.files import write_atomic
from samovar.core.locking import exclusive
from samovar.core.paths import cache_dir
from samovar.images.definition import Application, ImageDefinition, InputFile
from samovar.project.image import Application as ApplicationEntry
from samovar.project.image import Zipapp

BORROWED = "/tmp/application"  # noqa: S108 - in the bake's own namespace, where it is gone with the bake
FETCH_TIMEOUT = 60.0
LOCK_TIMEOUT = 1800.0
EXECUTABLE, OWNER = 0o755, "root:root"
SHEBANG = b"#!/usr/bin/python3 -I\n"
MAIN = "import sys\n\nfrom {module} import {function}\n\nsys.exit({function}(sys.argv[1:]))\n"
OLDEST_TIME = (1980, 1, 1, 0, 0, 0)


def application_of(entry: ApplicationEntry, source: Path | None) -> Application:
    """Return the application that image.yaml states; `source` is the folder of a zipapp. Raises ConfigError."""
    if entry.url and entry.sha256:
        return Application(entry.target, entry.sha256, url=entry.url)
    assert entry.zipapp  # noqa: S101 - the model has one of the two
    assert source  # noqa: S101
    data = build_zipapp(source, entry.zipapp)
    return Application(entry.target, _sha256(data), data=data)


def with_programs(image: ImageDefinition) -> ImageDefinition:
    """Return the image with its application, and the one that it borrows, among its files. Raises ConfigError."""
    programs = [program for program in (image.application, image.borrowed) if program]
    files = [InputFile(program.target, EXECUTABLE, OWNER, obtain(program)) for program in programs]
    return replace(image, files=(*image.files, *files))


def obtain(application: Application) -> bytes:
    """Return its content, from this user's cache where it was fetched before.

    Images that are baked side by side may ship the same one: it is fetched once, and the others wait for it.
    Raises ConfigError where it cannot be fetched, or is not what its sha256 says: that names both sums.
    """
    if not application.url:
        return application.data
    file = cache_dir() / "applications" / application.sha256
    if data := _cached(file, application.sha256):
        return data
    with exclusive(file.with_suffix(".lock"), timeout=LOCK_TIMEOUT):
        return _cached(file, application.sha256) or _store(file, _checked(application, _fetch(application.url)))


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


def _checked(application: Application, data: bytes) -> bytes:
    actual = _sha256(data)
    if actual != application.sha256:
        raise ConfigError(
            f"application {application.url}: its sha256 is {actual}, not {application.sha256}",
            remedy="if that file is the one you mean, write its sha256 into image.yaml",
        )
    return data


def _cached(file: Path, sha256: str) -> bytes | None:
    """Return what was fetched before; None where it is not there, or not what it should be."""
    data = file.read_bytes() if file.exists() else b""
    return data if _sha256(data) == sha256 else None


def _store(file: Path, data: bytes) -> bytes:
    write_atomic(file, data, mode=0o644, durable=False)
    return data


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT) as answer:  # noqa: S310 - https and file alone pass
            data: bytes = answer.read()
            return data
    except (OSError, ValueError) as error:
        raise ConfigError(f"application {url}: {error}", remedy="check the url in image.yaml") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
