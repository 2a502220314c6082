"""Writes the input of Packer: the template, the image that it starts from, and the bundle that goes to the machine."""

from __future__ import annotations

import functools
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import distribution
from pathlib import Path

import grpc
from jinja2 import Template
from yandex.cloud.compute.v1.image_service_pb2 import GetImageLatestByFamilyRequest
from yandex.cloud.compute.v1.image_service_pb2_grpc import ImageServiceStub

from samovar.cloud.connection import Access
from samovar.cloud.errors import CallFailed
from samovar.cloud.labels import of_image
from samovar.cloud.session import Session
from samovar.core.constants import GIB
from samovar.core.paths import PACKAGE
from samovar.core.templates import load_text
from samovar.images.bake_input import scripts_of, write_spec
from samovar.images.definition import SHORT, ImageDefinition, Images, digests, family, image_name
from samovar.images.publish import published
from samovar.project.application import Format

SOURCE = Path(__file__).parent / "image.pkr.hcl.j2"
DISK_GB = 10
"""Public images of Linux need it (the documentation's listing of ubuntu-2404-lts: `min_disk_size: "10737418240"`)."""
LARGE_DISK_GB = 32
"""For an image that borrows an application, as one that fills a database with it. It is also the unit in which a
network-ssd gets faster (the documentation's compute/concepts/limits)."""
CORES, MEMORY_GB, LARGE_MEMORY_GB = 2, 2, 4
SUITES = {"bookworm": "debian-12", "trixie": "debian-13"}
"""The image families of Yandex Cloud for suites of Debian."""
STANDARD_IMAGES = "standard-images"
BUNDLE = "samovar-bake.tar"
ENGINE = Path("samovar/images")
CHECKS = (Path("samovar/__init__.py"), *(ENGINE / f"{name}.py" for name in ("__init__", "checks")))
"""The modules that the checks need; they import the standard library and testinfra alone."""
TESTINFRA = "pytest-testinfra"


@dataclass(frozen=True)
class SourceImage:
    """The image that a bake starts from: one by `id`, or the newest of a `family` in `folder`; `size` in bytes.

    An empty `folder` is the bake's own.
    """

    id: str = ""
    name: str = ""
    family: str = ""
    folder: str = ""
    size: int = 0


def find_source_image(session: Session, images: Images, name: str, public: str | None = None) -> SourceImage:
    """Return the parent by its id if it is published, else the newest image of a family: see `source_family`.

    Packer's plugin refuses a disk that is smaller than what the image demands (its step_create_instance.go).
    """
    image = images[name]
    if image.parent:
        parent_name = image_name(image.parent, digests(images)[image.parent])
        for parent in published(session):
            if parent.name == parent_name:
                return SourceImage(id=parent.id, name=parent.name, size=parent.min_disk_size)
    source = source_family(image, public)
    request = GetImageLatestByFamilyRequest(folder_id=source.folder or session.images_folder_id, family=source.family)
    try:
        newest = session.client(ImageServiceStub).GetLatestByFamily(request)
    except CallFailed as error:
        if error.status is not grpc.StatusCode.NOT_FOUND:
            raise
        return source  # a template can be printed before its parent is baked
    return replace(source, size=newest.min_disk_size)


def source_family(image: ImageDefinition, public: str | None = None) -> SourceImage:
    """Return the parent's family; for an image without a parent `public`, a family of public images, else Debian's."""
    if image.parent:
        return SourceImage(family=family(image.parent))
    suite = image.suite or ""
    return SourceImage(family=public or SUITES.get(suite, suite), folder=STANDARD_IMAGES)


def template(image: ImageDefinition, digest: str, source: SourceImage, access: Access, images_folder: str = "") -> str:
    """Return the template in HCL2, from the definition that the local builder bakes. `digest` is the full one.

    `images_folder` is the folder that gets the image, where it is not that of `access`.

    It holds no secret; what belongs to one bake alone are its variables.
    """
    return _source().render(
        image=image,
        digest=digest,
        image_name=image_name(image.name, digest),
        family=family(image.name),
        labels={key: value for key, value in of_image(image.name, digest[:SHORT], "").items() if value},
        machine=machine_name(image.name, digest),
        source=source,
        folder=source.folder or images_folder or access.folder_id,
        images_folder=images_folder or access.folder_id,
        access=access,
        disk_size_gb=disk_gb(image, source),
        cores=CORES,
        memory_gb=memory_gb(image),
        large_run=_unpacks(image),
        bundle=BUNDLE,
        steps=tuple(_steps(image)),
    )


def write_bundle(file: Path, image: ImageDefinition, digest: str) -> None:
    """Write the tar file that the machine gets: `bake.sh`, its input, and the checks with what they import.

    `digest` is the full one. Raises ConfigError if the image's program cannot be fetched.
    """
    with tempfile.TemporaryDirectory(prefix="samovar-") as folder, tarfile.open(file, "w") as tar:
        write_spec(Path(folder) / "spec", image, ())
        tar.add(Path(folder) / "spec", "spec")
        for name, data in _bundled_files(image, digest):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))


def machine_name(name: str, digest: str) -> str:
    """Return the name of the machine that bakes an image, and of its disk."""
    return f"samovar-bake-{name}-{digest[:SHORT]}"


def disk_gb(image: ImageDefinition, source: SourceImage) -> int:
    """Return the whole gigabytes of a disk that holds the source image and what is baked."""
    return max(LARGE_DISK_GB if image.borrowed else DISK_GB, -(-source.size // GIB))


def memory_gb(image: ImageDefinition) -> int:
    """Return the gigabytes of memory of the machine that bakes an image."""
    return LARGE_MEMORY_GB if image.borrowed or _unpacks(image) else MEMORY_GB


def _unpacks(image: ImageDefinition) -> bool:
    """Return whether the application may be large: it comes to the machine in /run, which is memory."""
    return image.application is not None and image.application.format is not Format.FILE


def hcl_string(value: str) -> str:
    """Return a string of HCL that is `value` and nothing else: without interpolation and directives."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def comment(text: str) -> str:
    """Return the text as one line of a comment."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _steps(image: ImageDefinition) -> Iterator[str]:
    if image.packages:
        yield f"packages: {', '.join(image.packages)}"
    yield f"files: {len(image.files)}"
    if image.services:
        yield f"services: {', '.join(image.services)}"
    yield from (script.name for script in scripts_of(image))
    yield "checks: hygiene, packages, files, services, " + ", ".join(command[0] for command in image.commands)


def _bundled_files(image: ImageDefinition, digest: str) -> Iterator[tuple[str, bytes]]:
    yield "environment", f"DIGEST={digest}\nSUITE={image.suite or ''}\n".encode()
    yield "start.sh", (Path(__file__).parent / "start.sh").read_bytes()
    yield "bake.sh", next(step.data for step in image.steps if Path(step.name).name == "bake.sh")
    for path in CHECKS:
        yield f"lib/{path}", (PACKAGE.parent / path).read_bytes()
    for file in distribution(TESTINFRA).files or ():
        if file.suffix == ".py" and file.parts[0] == "testinfra":
            yield f"lib/{file.as_posix()}", file.read_binary()


@functools.cache
def _source() -> Template:
    return load_text(SOURCE, {"hcl": hcl_string, "comment": comment})
