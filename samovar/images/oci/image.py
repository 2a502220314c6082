"""Reads the parts of an OCI image: index, manifest and configuration, each checked by its digest.

https://github.com/opencontainers/image-spec, and Docker's formats, which have the same keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from samovar.core.errors import ConfigError

OS, ARCHITECTURE = "linux", "amd64"
BLOCK = 1 << 20
Digest = Annotated[str, StringConstraints(pattern="^sha256:[0-9a-f]{64}$")]
Directory = Annotated[str, StringConstraints(pattern=r"^(/[^\x00-\x1f\x7f\\]*)?$")]
Signal = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9+-]*$")]
"""Lines of a unit are made of both, so neither may hold what a unit takes for the end of a line."""
OpenBlob = Callable[[str], IO[bytes]]
"""Opens a blob by its digest, in hex. Raises FileNotFoundError."""


class _Part(BaseModel):
    """A part of an image; what is not named here has no meaning here."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Platform(_Part):
    """The platform of an image."""

    os: str = ""
    architecture: str = ""


class Descriptor(_Part):
    """A reference to a blob."""

    digest: Digest
    media_type: str = Field(default="", validation_alias="mediaType")
    platform: Platform = Platform()


class Manifest(_Part):
    """The manifest of an image, or an index of `manifests` for several platforms."""

    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()


class Process(_Part):
    """The process of an image, as it says. A key that is null is as one that is missing."""

    entrypoint: tuple[str, ...] | None = Field(default=None, validation_alias="Entrypoint")
    cmd: tuple[str, ...] | None = Field(default=None, validation_alias="Cmd")
    env: tuple[str, ...] | None = Field(default=None, validation_alias="Env")
    user: str | None = Field(default=None, validation_alias="User")
    working_dir: Directory | None = Field(default=None, validation_alias="WorkingDir")
    stop_signal: Signal | None = Field(default=None, validation_alias="StopSignal")


class Configuration(Platform):
    """The configuration of an image."""

    config: Process | None = None


P = TypeVar("P", bound=_Part)


@dataclass(frozen=True)
class OciImage:
    """An image for this platform: its process, and its layers, the lowest one first. `name` stands in errors."""

    name: str
    process: Process
    layers: tuple[Descriptor, ...]
    open_blob: OpenBlob

    def read_layer(self, layer: Descriptor) -> IO[bytes]:
        """Return an open layer. Raises ConfigError where it is not what its digest says."""
        return read_blob(hex_of(layer), self.open_blob, self.name)


def find_manifest(sha256: str, open_blob: OpenBlob, name: str) -> Manifest:
    """Return the manifest for this platform: the one that `sha256` names, or one of the index that it names.

    `name` stands in errors. Raises ConfigError where none is for this platform, or a digest does not hold.
    """
    manifest = _part(Manifest, sha256, open_blob, name)
    if not manifest.manifests:
        return manifest
    for descriptor in manifest.manifests:
        if (descriptor.platform.os, descriptor.platform.architecture) == (OS, ARCHITECTURE):
            return _part(Manifest, hex_of(descriptor), open_blob, name)
    raise _of_others(name, ", ".join(_platform(each.platform) for each in manifest.manifests))


def read_image(sha256: str, open_blob: OpenBlob, name: str) -> OciImage:
    """Return the image that `sha256` names. Raises ConfigError as `find_manifest` does."""
    manifest = find_manifest(sha256, open_blob, name)
    if manifest.config is None:
        raise ConfigError(f"{name}: its manifest names no configuration", remedy="name an image that can be run")
    configuration = _part(Configuration, hex_of(manifest.config), open_blob, name)
    if (configuration.os, configuration.architecture) != (OS, ARCHITECTURE):
        raise _of_others(name, _platform(configuration))
    return OciImage(name, configuration.config or Process(), manifest.layers, open_blob)


def read_blob(sha256: str, open_blob: OpenBlob, name: str) -> IO[bytes]:
    """Return an open blob that is what its digest says. Raises ConfigError."""
    try:
        blob = open_blob(sha256)
    except OSError as error:
        raise ConfigError(
            f"{name}: has no blob sha256:{sha256}",
            remedy="write the digest that it has; what `docker save` wrote becomes an OCI image by: "
            "skopeo copy docker-archive:FILE oci-archive:NEW",
        ) from error
    actual = _sha256(blob)
    if actual != sha256:
        blob.close()
        raise ConfigError(
            f"{name}: corrupt: its blob sha256:{sha256} is sha256:{actual}", remedy="make or fetch it anew"
        )
    blob.seek(0)
    return blob


def hex_of(descriptor: Descriptor) -> str:
    """Return the digest of what is referred to, in hex."""
    return descriptor.digest.removeprefix("sha256:")


def _part(model: type[P], sha256: str, open_blob: OpenBlob, name: str) -> P:
    with read_blob(sha256, open_blob, name) as blob:
        try:
            return model.model_validate_json(blob.read())
        except ValidationError as error:
            what = error.errors(include_url=False)[0]
            where = ".".join(map(str, what["loc"]))
            raise ConfigError(f"{name}: no OCI image: {where}: {what['msg']}", remedy="name an image") from error


def _sha256(blob: IO[bytes]) -> str:
    sum_ = hashlib.sha256()
    while block := blob.read(BLOCK):
        sum_.update(block)
    return sum_.hexdigest()


def _of_others(name: str, platforms: str) -> ConfigError:
    return ConfigError(
        f"{name}: is for {platforms}, and machines are {OS}/{ARCHITECTURE}",
        remedy=f"build it for {OS}/{ARCHITECTURE}: docker buildx build --platform {OS}/{ARCHITECTURE}",
    )


def _platform(platform: Platform) -> str:
    return f"{platform.os or 'unknown'}/{platform.architecture or 'unknown'}"
