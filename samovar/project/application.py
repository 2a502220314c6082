"""The key `application` of `image.yaml`: the program of an image, its origin, and how systemd runs it."""

from __future__ import annotations

import re
import signal
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from samovar.project.fields import Line, Source, Strict, Target, Word

TARBALLS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
OTHER_ARCHIVES = (".tar.zst", ".tzst", ".zip", ".7z", ".rpm", ".apk", ".whl", ".jar.gz")
REALTIME = re.compile(r"SIGRTMIN\+([1-9]|[12]\d|30)")
"""The signals above SIGRTMIN, by systemd's names; the last one is SIGRTMAX, which is 30 above it on Linux."""
DIGEST = r"@sha256:[0-9a-f]{64}"
SHA256, URL = "^[0-9a-f]{64}$", r"^(https|file)://[^\s\"\\]+$"


class Format(StrEnum):
    """The forms in which an application comes. A folder is shipped as a tarball of what it holds."""

    FILE = "file"
    TARBALL = "tarball"
    DEB = "deb"
    OCI = "oci"


def format_of(path: str) -> Format:
    """Return the form of a file by its name."""
    name = PurePosixPath(path).name.lower()
    return Format.DEB if name.endswith(".deb") else Format.TARBALL if name.endswith(TARBALLS) else Format.FILE


def _signal_name(name: str) -> str:
    signals = {each.name for each in signal.Signals}
    if name not in signals and not REALTIME.fullmatch(name):
        raise ValueError(f"there is no signal {name}; write one such as SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGRTMIN+3")
    return name


def _by_digest(reference: str) -> str:
    if re.search(f"{DIGEST}$", reference):
        return reference
    where = f"oci-archive:{reference} (oci:{reference} for a folder)" if is_path(reference) else f"docker://{reference}"
    raise ValueError(
        f"{reference} names no digest, and what a tag means changes: "
        f"write {untagged(reference)}@sha256:..., as this prints: skopeo inspect --format '{{{{.Digest}}}}' {where}"
    )


def is_path(reference: str) -> bool:
    """Return whether an OCI image is an archive or a layout of the project, and not one of a registry."""
    return reference.startswith(("./", "../"))


def untagged(reference: str) -> str:
    """Return the reference of an image of a registry without its tag; a path stays as it is."""
    return reference if is_path(reference) else re.sub(r":[^:/@]+(?=@|$)", "", reference.partition("@")[0])


Sha256 = Annotated[str, StringConstraints(pattern=SHA256)]
Url = Annotated[str, StringConstraints(pattern=URL)]
Variable = Annotated[str, StringConstraints(pattern="^[A-Za-z_][A-Za-z0-9_]*$")]
User = Annotated[str, StringConstraints(pattern=r"^([a-z_][a-z0-9_-]{0,30}|[0-9]{1,9}(:[0-9]{1,9})?)$")]
Signal = Annotated[str, StringConstraints(pattern=r"^SIG[A-Z0-9+]+$"), AfterValidator(_signal_name)]
OciReference = Annotated[
    str, StringConstraints(pattern=r"^(\.{1,2}/[^\s@]+|[a-zA-Z0-9][\w.:/-]*)(@[^\s@]*)?$"), AfterValidator(_by_digest)
]


class Zipapp(Strict):
    """A program in Python that is built into one executable file, as the module `zipapp` does."""

    source: Source = Field(description="the folder of its package, seen from the folder of the image")
    main: Annotated[str, StringConstraints(pattern=r"^[a-z_][\w.]*:[a-z_]\w*$")] = Field(
        description="`package.module:function`: called with the arguments, it returns the exit code"
    )
    libraries: tuple[Word, ...] = Field(
        default=(), description="distributions of pure Python that go into it, as they are installed beside samovar"
    )


class Run(Strict):
    """The unit that the tool makes for the application: `NAME.service` of the image NAME, enabled and hardened.

    Its environment goes on in `/etc/NAME/environment`, where a template of the role may write it. `/var/lib/NAME` is
    the application's to write. For what else a unit may say write a drop-in of `rootfs/etc/systemd/system/`.
    """

    command: tuple[Line, ...] = Field(
        default=(),
        description="the program and its arguments; without one, `target` alone, or what the OCI image says",
    )
    environment: dict[Variable, Line] = Field(default={}, description="environment variables, and no secrets")
    user: User | None = Field(
        default=None,
        description="the user that it runs as; without one, a user of its own, with the name of the image, or the one "
        "that the OCI image says",
    )
    directory: Target | None = Field(
        default=None,
        description="the working directory; without one, that of the application, or as the OCI image says",
    )
    stop_signal: Signal | None = Field(
        default=None, description="the signal that asks it to stop; without one, SIGTERM, or as the OCI image says"
    )


class Application(Strict):
    """The program that an image ships. It has one origin: `source`, `url` with `sha256`, `zipapp`, or `oci`.

    A name that ends with .deb is a package of Debian, one that ends with .tar, .tar.gz, .tar.xz, .tar.bz2 is unpacked.
    """

    target: Target | None = Field(
        default=None,
        description="its path in the image: of a file, or of the folder for what a folder or tarball holds; a .deb has "
        "none, and the root of an OCI image is /opt/NAME by default",
    )
    source: Source | None = Field(
        default=None, description="an executable, a folder, a tarball or a .deb, seen from the folder of the image"
    )
    url: Url | None = Field(default=None, description="where it is fetched from: https:// or file://")
    sha256: Sha256 | None = Field(default=None, description="the digest of what the url leads to")
    zipapp: Zipapp | None = Field(default=None, description="a program of this project, built into one file")
    oci: OciReference | None = Field(
        default=None,
        description="an OCI image by its digest: `registry.example.org/shop/api@sha256:...`, or "
        "`./api.tar@sha256:...`, an archive or the folder of a layout, seen from the folder of the image",
    )
    run: Run | None = Field(
        default=None, description="how systemd runs it; an OCI image always is run. Without it, no unit is made"
    )

    @property
    def format(self) -> Format:
        """Return the form by the name. Whether a `source` is a folder is for its reader to see."""
        return Format.OCI if self.oci else format_of(self.source or urlsplit(self.url or "").path)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.url is None) != (self.sha256 is None):
            raise ValueError("url and sha256 go together")
        origins = [each for each in (self.source, self.url, self.zipapp, self.oci) if each is not None]
        if len(origins) != 1:
            raise ValueError("an application has one of source, url with sha256, zipapp, and oci")
        return self

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        name = (self.source or urlsplit(self.url or "").path).lower()
        if name.endswith(OTHER_ARCHIVES):
            raise ValueError(f"{name} is no tarball that is unpacked here: pack it as .tar.gz or .tar.xz")
        if self.format is Format.DEB and self.target:
            raise ValueError("a .deb has no target: it says itself where its files are")
        if self.format in {Format.FILE, Format.TARBALL} and not self.target:
            raise ValueError("target is missing: the path of the application in the image")
        return self
