"""What a finished image must be like, as a value that goes to the checks as JSON.

Of the standard library alone, as all that goes to a machine with the checks.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from samovar.images.image import ImageDefinition

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


def to_json(expected: Expected) -> str:
    """As the checks read it."""
    return json.dumps(asdict(expected))


def from_json(text: str) -> Expected:
    """What `to_json` has written."""
    found: dict[str, Any] = json.loads(text)
    return Expected(
        packages=tuple(found["packages"]),
        services=tuple(found["services"]),
        files=tuple(ExpectedFile(**file) for file in found["files"]),
        commands=tuple(tuple(command) for command in found["commands"]),
        absent=tuple(found["absent"]),
    )
