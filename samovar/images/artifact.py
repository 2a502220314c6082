"""The program that an image ships: where its content comes from, and how a bake gets it."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPMessage
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.request import Request

from samovar.core.cache import keep_used, mark_used
from samovar.core.errors import ConfigError
from samovar.core.files import exclusive
from samovar.core.paths import cache_dir
from samovar.images.definition import Application, ImageDefinition, InputFile, file_sha256
from samovar.images.oci.fetch import opened
from samovar.images.oci.flatten import read_tree, write_tree
from samovar.images.oci.image import read_image
from samovar.images.oci.service import drop_in, service_of
from samovar.images.tarball import folder_sha256, pack, repack
from samovar.images.unit import unit_file, with_accounts
from samovar.images.zipapp import build_zipapp
from samovar.project.application import Application as ApplicationEntry
from samovar.project.application import Format, Run, is_path, untagged

BORROWED = "/tmp/application"  # noqa: S108 - in the bake's own namespace, where it is gone with the bake
FETCH_TIMEOUT = 60.0
LOCK = ".lock"
LOCK_TIMEOUT = 1800.0
EXECUTABLE, OWNER = 0o755, "root:root"
TAR, DEB = "application.tar", "application.deb"
"""The names by which `bake.sh` finds what an application holds, and a package."""


def application_of(name: str, entry: ApplicationEntry, locate: Callable[[str, str], Path]) -> Application:
    """Return the application that image.yaml of the image `name` states. Raises ConfigError.

    `locate` returns the path of a source, given that and its key.
    """
    target = entry.target or ""
    if entry.zipapp:
        data = build_zipapp(locate(entry.zipapp.source, "zipapp.source"), entry.zipapp)
        return Application(target, hashlib.sha256(data).hexdigest(), data=data)
    if entry.oci:
        return _of_oci(target or f"/opt/{name}", entry.oci, entry.run or Run(), locate)
    if entry.source:
        return _of_project(target, entry.format, locate(entry.source, "source"))
    return Application(target, entry.sha256 or "", entry.format, url=entry.url or "")


def put_application(image: ImageDefinition, folder: Path) -> ImageDefinition:
    """Write into `folder` what the image's application holds; return the image with what of it are plain files.

    The application that it borrows is one of them. Raises ConfigError where one cannot be had, or does not fit.
    """
    programs = [program for program in (image.application, image.borrowed) if program]
    for program in programs:
        image = _put(image, program, folder)
    return image


def _put(image: ImageDefinition, application: Application, folder: Path) -> ImageDefinition:
    if application.format is Format.OCI:
        return _put_oci(image, application, folder / TAR)
    if application.format is Format.FILE:
        data = application.data or obtain(application).read_bytes()
        check_line_ends(data, _name(application))
        return replace(image, files=(*image.files, InputFile(application.target, EXECUTABLE, OWNER, data)))
    if application.format is Format.DEB:
        shutil.copyfile(obtain(application), folder / DEB)
    elif application.path and application.path.is_dir():
        with (folder / TAR).open("wb") as out:
            pack(application.path, application.target, out)
    else:
        repack(obtain(application), application.target, folder / TAR, name=_name(application))
    return image


def _put_oci(image: ImageDefinition, application: Application, out: Path) -> ImageDefinition:
    """Write the tree of an OCI image to `out`; return the image with its unit and what belongs to that."""
    with opened(application, _name(application)) as open_blob:
        oci = read_image(application.sha256, open_blob, _name(application))
        tree = read_tree(oci)
        service = service_of(image, application.run or Run(), oci, tree, application.target)
        write_tree(oci, tree, out, root=application.target, folders=[service.directory])
    with_unit = replace(image, files=(*image.files, unit_file(service), drop_in(image.name)))
    return with_accounts(with_unit, service)


def check_line_ends(program: bytes, name: str) -> None:
    """Raise ConfigError for a script of Windows: a machine would look for an interpreter whose name ends with a CR."""
    line, _, _ = program.partition(b"\n")
    if line.startswith(b"#!") and line.endswith(b"\r"):
        raise ConfigError(
            f"{name}: its lines end with CR LF, as on Windows, so no machine finds its interpreter",
            remedy="let them end with LF, as `sed -i 's/\\r$//' FILE` does, and git by `text eol=lf` in .gitattributes",
        )


def obtain(application: Application) -> Path:
    """Return the file that holds its content, in this user's cache if it comes by a url.

    Images that are baked side by side may ship the same one: it is fetched once, and the others wait for it.
    Raises ConfigError where it cannot be fetched, or is not what its sha256 says: that names both sums.
    """
    if application.path:
        return application.path
    file = cache_dir() / "applications" / application.sha256
    with exclusive(file.with_suffix(LOCK), timeout=LOCK_TIMEOUT):
        if not _is_cached(file, application.sha256):
            _fetch(application, file)
    keep_used(each for each in file.parent.iterdir() if each.suffix != LOCK)  # of a lock nobody knows who holds it
    return file


def _is_cached(file: Path, sha256: str) -> bool:
    with suppress(FileNotFoundError):
        mark_used(file)
        return file_sha256(file) == sha256
    return False


def fetch_url(url: str, sha256: str) -> Path:
    """Return the file of this user's cache, named by its sha256, with what a url leads to. Raises ConfigError.

    Where there is a `sha256` it must be that, and is not fetched again.
    """
    if sha256:
        return obtain(Application("", sha256, url=url))
    partial = _partial(cache_dir() / "applications" / "url")
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        _download(url, partial)
        return partial.replace(partial.with_name(file_sha256(partial)))
    finally:
        partial.unlink(missing_ok=True)


def _of_oci(target: str, reference: str, run: Run, locate: Callable[[str, str], Path]) -> Application:
    place, _, digest = reference.partition("@sha256:")
    if is_path(place):
        return Application(target, digest, Format.OCI, run, path=locate(place, "oci"))
    return Application(target, digest, Format.OCI, run, url=f"docker://{untagged(place)}@sha256:{digest}")


def _of_project(target: str, format_: Format, path: Path) -> Application:
    if path.is_dir():
        return Application(target, folder_sha256(path), Format.TARBALL, path=path)
    return Application(target, file_sha256(path), format_, path=path)


def _fetch(application: Application, file: Path) -> None:
    partial = _partial(file)
    try:
        _download(application.url, partial)
        _check(application, file_sha256(partial))
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def _partial(file: Path) -> Path:
    return file.with_name(f".{file.name}.{secrets.token_hex(4)}.new")


class _HttpsAlone(urllib.request.HTTPRedirectHandler):
    """Follows no redirect out of https: a digest that nobody stated is taken of what comes."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if not newurl.startswith("https://"):
            raise URLError(f"it leads to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(url: str, file: Path) -> None:
    opener = urllib.request.build_opener(_HttpsAlone)
    try:
        with opener.open(url, timeout=FETCH_TIMEOUT) as answer, file.open("wb") as out:
            shutil.copyfileobj(answer, out)
    except (OSError, ValueError) as error:
        raise ConfigError(f"application {url}: {error}", remedy="check the url") from error


def _check(application: Application, actual: str) -> None:
    if actual != application.sha256:
        raise ConfigError(
            f"application {application.url}: its sha256 is {actual}, not {application.sha256}",
            remedy="if that file is the one you mean, give that sha256",
        )


def _name(application: Application) -> str:
    return f"application {application.path or application.url}"
