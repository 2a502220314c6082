"""Writes down for `bake.sh` what to bake: the very bytes that the digest was taken of."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from samovar.images.artifact import put_application
from samovar.images.checks import Expected, ExpectedFile, to_json
from samovar.images.definition import ImageDefinition, InputFile, InputLink, Script
from samovar.images.inheritance import ROLES, units_of_role
from samovar.images.unit import ALIAS

CLEAN = "clean.sh"
APT = "/etc/apt/"
"""What is put in place before packages are installed: repositories, keys, pins."""
PASSING = "/tmp/"  # noqa: S108 - the bake's own


def write_spec(folder: Path, image: ImageDefinition, sources: Sequence[str]) -> None:
    """Write what `bake.sh` reads below `folder`. `sources` are lines of apt's sources.list, for a root image.

    Raises ConfigError if the image's application cannot be fetched, or does not fit.
    """
    (folder / "scripts").mkdir(parents=True)
    image = put_application(image, folder)
    _lines(folder / "packages", image.packages)
    _lines(folder / "services", image.services)
    _lines(folder / "sources.list", sources)
    (folder / "apt.tar").write_bytes(archive(file for file in image.files if file.target.startswith(APT)))
    (folder / "files.tar").write_bytes(archive(image.files, image.links))
    for number, script in enumerate(scripts_of(image)):
        (folder / "scripts" / f"{number:02}-{Path(script.name).name}").write_bytes(script.data)
    (folder / "expected.json").write_text(to_json(expected_of(image)))


def scripts_of(image: ImageDefinition) -> tuple[Script, ...]:
    """Return the scripts that run inside the image, in their order: its own, then the cleaning."""
    return (*image.scripts, *(step for step in image.steps if step.name == CLEAN))


def expected_of(image: ImageDefinition) -> Expected:
    """Return what follows from the definition; what a parent promised was checked when the parent was baked."""
    return Expected(
        packages=image.packages,
        services=image.services,
        files=tuple(
            ExpectedFile(file.target, file.mode, file.owner)
            for file in image.files
            if not file.target.startswith(PASSING)
        ),
        links=tuple((link.target, link.points_to) for link in image.links),
        commands=image.commands,
        absent=image.absent,
        programs=(image.program,) if image.program else (),
        units=tuple(_role_units(image)),
    )


def _role_units(image: ImageDefinition) -> Iterator[str]:
    """Yield the units of the role. The application's own is that of a child where an image has no application."""
    roles = [file.data for file in image.files if file.target == f"{ROLES}/{image.name}.yaml"]
    for unit in (unit for role in roles for unit in units_of_role(role)):
        if image.application or unit != PurePosixPath(ALIAS).name:
            yield unit


def archive(files: Iterable[InputFile], links: Iterable[InputLink] = ()) -> bytes:
    """Return a tar file to be unpacked at the image's root, with owners by name and not by number."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in files:
            entry = tarfile.TarInfo(file.target.lstrip("/"))
            entry.size, entry.mode = len(file.data), file.mode
            entry.uname, entry.gname = file.owner.split(":")
            tar.addfile(entry, io.BytesIO(file.data))
        for link in links:
            entry = tarfile.TarInfo(link.target.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, link.points_to
            entry.uname = entry.gname = "root"
            tar.addfile(entry)
    return buffer.getvalue()


def _lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))
