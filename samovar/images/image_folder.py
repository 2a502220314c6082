"""Reads the folder of an image: its image.yaml, and the files that this names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from samovar.core.errors import ConfigError
from samovar.core.paths import is_within
from samovar.core.validation import Location
from samovar.core.yaml_file import load_model, place_of
from samovar.images.artifact import application_of
from samovar.images.definition import Application
from samovar.project.fields import library_name
from samovar.project.image import Image

T = TypeVar("T")


@dataclass(frozen=True)
class ImageFolder:
    """An image's folder, its parsed image.yaml, and the folder that its sources may not leave."""

    path: Path
    root: Path
    image: Image

    @property
    def file(self) -> Path:
        return self.path / "image.yaml"

    @property
    def parent(self) -> str | None:
        return library_name(self.image.parent) if self.image.parent else None

    @cached_property
    def application(self) -> Application | None:
        """The application that image.yaml states: other images may borrow it. Raises ConfigError."""
        entry = self.image.application
        if entry is None:
            return None

        def locate(source: str, key: str) -> Path:
            place = ("application", *key.split("."))
            return self.present(source, place)

        return application_of(self.path.name, entry, locate)

    def read(self, source: str, at: Location) -> bytes:
        """Return the content of a file that image.yaml names. Raises ConfigError that names the line."""
        return self.attempt(source, at, self.locate(source, at).read_bytes)

    def attempt(self, source: str, at: Location, read: Callable[[], T]) -> T:
        try:
            return read()
        except OSError as error:
            raise self.missing(source, at, error.strerror or "unreadable") from error

    def locate(self, source: str, at: Location) -> Path:
        """Return the path of a source. Raises ConfigError where it is outside of the project, or a link leads there."""
        path = Path(os.path.normpath(self.path / source))
        if not path.is_relative_to(os.path.normpath(self.root)) or not is_within(path, self.root, self.path):
            raise ConfigError(
                f"{place_of(self.file, at)}: {source} is not a path in this project",
                remedy=f"correct it: it is seen from {self.path}, and stays in {self.root}, as do its links",
            )
        return path

    def part(self, name: str) -> Path:
        """Return the path of a part of the folder, which need not be there. Raises ConfigError as `locate` does."""
        return self.locate(name, ())

    def present(self, source: str, at: Location) -> Path:
        """Return the path of a source. Raises ConfigError that names the line, where nothing is there."""
        path = self.locate(source, at)
        self.attempt(source, at, path.stat)
        return path

    def missing(self, source: str, at: Location, why: str) -> ConfigError:
        return ConfigError(f"{place_of(self.file, at)}: {source}: {why}", remedy=f"add {source}, seen from {self.path}")


def image_folders(images: Path) -> list[Path]:
    """Return the folders of images. A folder with byte code alone, which git leaves behind, is not one."""
    folders = sorted(path for path in images.glob("[!_.]*") if path.is_dir())
    return [path for path in folders if [entry.name for entry in path.iterdir()] != ["__pycache__"]]


def parse_folder(path: Path, root: Path) -> ImageFolder:
    """Return the folder with its image.yaml; no source of it leaves `root`. Raises ConfigError."""
    if not re.fullmatch("[a-z][a-z0-9-]{0,40}", path.name):
        raise ConfigError(f"{path}: not an image's name", remedy="use small letters, digits and hyphens")
    remedy = "an image folder holds an image.yaml: add it, or remove the folder"
    return ImageFolder(path, root, load_model(path / "image.yaml", Image, remedy=remedy))
