"""Writes down for `bake.sh` what to bake: the very bytes that the digest was taken of."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from samovar.images.expectations import expected_of, to_json
from samovar.images.image import ImageDefinition, InputFile, Script

CLEAN = "clean.sh"


def write_spec(folder: Path, image: ImageDefinition, sources: Sequence[str]) -> None:
    """`sources` are lines of apt's sources.list, for a root image."""
    (folder / "scripts").mkdir(parents=True)
    _lines(folder / "packages", image.packages)
    _lines(folder / "services", image.services)
    _lines(folder / "sources.list", sources)
    (folder / "files.tar").write_bytes(archive(image.files))
    for number, script in enumerate(scripts_of(image)):
        (folder / "scripts" / f"{number:02}-{Path(script.name).name}").write_bytes(script.data)
    (folder / "expected.json").write_text(to_json(expected_of(image)))


def scripts_of(image: ImageDefinition) -> tuple[Script, ...]:
    """The scripts that run inside the image, in their order: its own, then the cleaning."""
    return (*image.scripts, *(step for step in image.steps if step.name == CLEAN))


def archive(files: Iterable[InputFile]) -> bytes:
    """A tar file to be unpacked at the image's root, by an owner's name and not by number."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in files:
            entry = tarfile.TarInfo(file.target.lstrip("/"))
            entry.size, entry.mode = len(file.data), file.mode
            entry.uname, entry.gname = file.owner.split(":")
            tar.addfile(entry, io.BytesIO(file.data))
    return buffer.getvalue()


def _lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))
