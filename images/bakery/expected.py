"""What a finished image must be like, as a value that goes to the checks as JSON."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from images.bakery.model import ImageDefinition

PASSING = "/tmp/"  # noqa: S108 - the bake's own


@dataclass(frozen=True)
class ExpectedFile:
    """`mode` is the permissions as a number, `owner` is `user:group`."""

    path: str
    mode: int
    owner: str


@dataclass(frozen=True)
class Expected:
    """Hygiene is expected of every image and not named here."""

    packages: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    files: tuple[ExpectedFile, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    absent: tuple[str, ...] = ()


def expected_of(image: ImageDefinition) -> Expected:
    """What follows from the definition; what a parent promised was checked when the parent was baked."""
    return Expected(
        packages=image.packages,
        services=image.services,
        files=tuple(
            ExpectedFile(file.target, file.mode, file.owner)
            for file in image.files
            if not file.target.startswith(PASSING)
        ),
        commands=image.commands,
        absent=image.absent,
    )
