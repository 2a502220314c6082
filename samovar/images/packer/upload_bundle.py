"""What goes to the machine that Packer makes: `bake.sh`, what it is to bake, and the checks with what they import."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from samovar.core.paths import PACKAGE
from samovar.images.artifact import with_programs
from samovar.images.bake_input import write_spec
from samovar.images.definition import ImageDefinition

NAME = "samovar-bake.tar"
ENGINE = Path("samovar/images")
CHECKS = (
    Path("samovar/__init__.py"),
    *(ENGINE / f"{n}.py" for n in ("__init__", "checks", "hygiene")),
)
"""Of ours, what the checks take; all of it imports the standard library and testinfra alone."""
TESTINFRA = "pytest-testinfra"


def write_parcel(file: Path, image: ImageDefinition, digest: str) -> None:
    """`digest` is the full one. Raises ConfigError where the image's program cannot be had."""
    with tempfile.TemporaryDirectory(prefix="samovar-") as folder, tarfile.open(file, "w") as tar:
        write_spec(Path(folder) / "spec", with_programs(image), ())
        tar.add(Path(folder) / "spec", "spec")
        for name, data in _own(image, digest):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))


def _own(image: ImageDefinition, digest: str) -> Iterator[tuple[str, bytes]]:
    yield "environment", f"DIGEST={digest}\nSUITE={image.suite or ''}\n".encode()
    yield "start.sh", (Path(__file__).parent / "start.sh").read_bytes()
    yield "bake.sh", next(step.data for step in image.steps if Path(step.name).name == "bake.sh")
    for path in CHECKS:
        yield f"lib/{path}", (PACKAGE.parent / path).read_bytes()
    for found in distribution(TESTINFRA).files or ():
        if found.suffix == ".py" and found.parts[0] == "testinfra":
            yield f"lib/{found.as_posix()}", found.read_binary()
