"""The closed program that an image ships: known by its sha256, fetched by its url; without one, the stand-in for it."""

from __future__ import annotations

import hashlib
import urllib.request
from dataclasses import replace
from pathlib import Path

from samovar.core.errors import ConfigError
from samovar.core.locking import exclusive
from samovar.core.paths import cache_dir
from samovar.images.image import Application, ImageDefinition, InputFile
from samovar.images.zipapp import standin

BORROWED = "/tmp/application"  # noqa: S108 - in the bake's own namespace, where it is gone with the bake
FETCH_TIMEOUT = 60.0
LOCK_TIMEOUT = 1800.0
EXECUTABLE, OWNER = 0o755, "root:root"


def the_standin(target: str) -> Application:
    """The stand-in as it would be made now."""
    return Application(target, _sha256(standin()), url="")


def with_programs(image: ImageDefinition) -> ImageDefinition:
    """With its application, and the one that it borrows, among its files. Raises ConfigError."""
    programs = [program for program in (image.application, image.borrowed) if program]
    files = [InputFile(program.target, EXECUTABLE, OWNER, obtain(program)) for program in programs]
    return replace(image, files=(*image.files, *files))


def obtain(application: Application) -> bytes:
    """Its content, from this user's cache where it was fetched before.

    Images that are baked side by side may ship the same one: it is fetched once, and the others wait for it.
    Raises ConfigError where it cannot be had, or is not what its sha256 says: that names both sums.
    """
    if not application.url:
        return _checked(application, standin())
    kept = cache_dir() / "applications" / application.sha256
    if data := _kept(kept, application.sha256):
        return data
    with exclusive(kept.with_suffix(".lock"), timeout=LOCK_TIMEOUT):
        return _kept(kept, application.sha256) or _keep(kept, _checked(application, _fetch(application.url)))


def _checked(application: Application, data: bytes) -> bytes:
    if (found := _sha256(data)) != application.sha256:
        raise ConfigError(
            f"application {application.url or application.target}: its sha256 is {found}, not {application.sha256}",
            remedy="if that file is the one you mean, write its sha256 into image.yaml",
        )
    return data


def _kept(kept: Path, sha256: str) -> bytes | None:
    """None where it is not there, or not what it should be."""
    data = kept.read_bytes() if kept.exists() else b""
    return data if _sha256(data) == sha256 else None


def _keep(kept: Path, data: bytes) -> bytes:
    """Called by who holds the lock."""
    partial = kept.with_suffix(".new")
    partial.write_bytes(data)
    partial.replace(kept)
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
