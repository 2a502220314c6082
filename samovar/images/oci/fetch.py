"""Gets at the blobs of an OCI image: in an archive or layout of the project, or fetched from a registry by skopeo."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from samovar.core.cache import keep_latest, mark_used
from samovar.core.errors import ConfigError, ProcessFailed
from samovar.core.files import exclusive
from samovar.core.paths import cache_dir
from samovar.core.process import run
from samovar.images.definition import Application
from samovar.images.oci.image import Descriptor, Manifest, OpenBlob, find_manifest
from samovar.images.store import KEPT
from samovar.project.application import untagged

TIMEOUT = 1800.0
BLOBS, INDEX, LAYOUT = "blobs/sha256", "index.json", "oci-layout"
"""Where a layout has its blobs, what names its images, and what marks it: https://github.com/opencontainers/image-spec/blob/main/image-layout.md."""


@contextmanager
def opened(application: Application, name: str) -> Iterator[OpenBlob]:
    """Give what opens the image's blobs; `name` stands in errors. Raises ConfigError, or HostError without skopeo.

    What comes from a registry is kept in this user's cache. Images baked side by side fetch it once: one repository is
    read by one of them at a time, so that none removes what another one reads.
    """
    if application.path is None:
        repository = cache_dir() / "oci" / _repository(application.url)
        with exclusive(repository / ".lock", timeout=TIMEOUT):
            yield partial(_in_folder, _fetched(repository, application, name))
    elif application.path.is_dir():
        yield partial(_in_folder, application.path / BLOBS)
    else:
        with _archive(application.path, name) as tar:
            yield partial(_in_archive, tar)


def _in_folder(folder: Path, sha256: str) -> IO[bytes]:
    return (folder / sha256).open("rb")


def _in_archive(tar: tarfile.TarFile, sha256: str) -> IO[bytes]:
    for name in (f"{BLOBS}/{sha256}", f"./{BLOBS}/{sha256}"):
        if name in tar.getnames() and (blob := tar.extractfile(name)):
            return blob
    raise FileNotFoundError(sha256)


def _archive(path: Path, name: str) -> tarfile.TarFile:
    try:
        return tarfile.open(path)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ConfigError(
            f"{name}: neither an OCI archive nor a folder with a layout: {error}",
            remedy="make one: skopeo copy docker-daemon:IMAGE oci-archive:FILE",
        ) from error


def find_digest(path: Path) -> str | None:
    """Return the digest of the image in an archive or layout; None where `path` is neither.

    Raises ConfigError where it holds several.
    """
    index = _read_index(path)
    if index is None:
        return None
    digests = [manifest.digest for manifest in _manifests(index, path)]
    if len(digests) != 1:
        raise ConfigError(
            f"{path} holds {len(digests)} images", remedy="make one of it: skopeo copy oci:FOLDER:TAG oci-archive:FILE"
        )
    return digests[0]


def _manifests(index: bytes, path: Path) -> tuple[Descriptor, ...]:
    try:
        return Manifest.model_validate_json(index).manifests
    except ValidationError as error:
        what = error.errors(include_url=False)[0]
        where = ".".join(map(str, what["loc"]))
        raise ConfigError(f"{path}: its {INDEX}: {where}: {what['msg']}", remedy="make it anew") from error


def _read_index(path: Path) -> bytes | None:
    if path.is_dir():
        return (path / INDEX).read_bytes() if (path / LAYOUT).is_file() else None
    if not tarfile.is_tarfile(path):
        return None
    with tarfile.open(path) as tar:
        members = {member.name.removeprefix("./"): member for member in tar}
        index = tar.extractfile(members[INDEX]) if LAYOUT in members and INDEX in members else None
        return index.read() if index else None


def resolve_tag(reference: str) -> str:
    """Return the reference of a registry's image with the digest that its tag has now; one with a digest stays.

    Raises ConfigError where the registry does not answer or has no such image, HostError without skopeo.
    """
    if "@" in reference:
        return reference
    try:
        done = run(("skopeo", "inspect", "--format", "{{.Digest}}", f"docker://{reference}"), timeout=TIMEOUT)
    except ProcessFailed as error:
        raise _not_fetched(reference, error) from error
    return f"{untagged(reference)}@{done.stdout.strip()}"


def _repository(url: str) -> str:
    """Return what stands before the digest: `registry.example.org/shop/api`."""
    return url.removeprefix("docker://").partition("@")[0]


def _fetched(repository: Path, application: Application, name: str) -> Path:
    """Return the folder of the cache with the image's blobs, each under its digest."""
    folder = repository / application.sha256
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=repository) as new:
            find_manifest(application.sha256, partial(_copied, Path(new), application.url, name), name)
            Path(new).rename(folder)
            Path(new).mkdir()  # to be removed
    mark_used(folder)
    keep_latest(repository.glob("[0-9a-f]" * 64), KEPT)
    return folder


def _copied(folder: Path, url: str, name: str, sha256: str) -> IO[bytes]:
    """Open a manifest of a registry, after it was copied to the folder; an image's comes with its blobs."""
    copy = ("skopeo", "copy", "--quiet", "--preserve-digests", "--multi-arch", "index-only")
    with tempfile.TemporaryDirectory(dir=folder) as copied:
        try:
            run((*copy, f"docker://{_repository(url)}@sha256:{sha256}", f"dir:{copied}"), timeout=TIMEOUT)
        except ProcessFailed as error:
            raise _not_fetched(name, error) from error
        (Path(copied) / "manifest.json").rename(folder / sha256)
        for blob in Path(copied).glob("[0-9a-f]" * 64):
            shutil.move(blob, folder)
    return _in_folder(folder, sha256)


def _not_fetched(name: str, error: ProcessFailed) -> ConfigError:
    why = error.output.splitlines()[-1:] or [error.message]
    return ConfigError(
        f"{name}: cannot be fetched: {why[0]}",
        remedy="check the reference; to log in: skopeo login REGISTRY, for a registry's own authority: SSL_CERT_FILE",
    )
