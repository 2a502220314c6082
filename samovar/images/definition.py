"""Reads `images/<name>/image.yaml` and every file that it names. A user adds an image by adding a folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from samovar.core.errors import ConfigError
from samovar.core.yaml_file import Location, load_model, place_of
from samovar.images.build_artifact import BORROWED, the_standin
from samovar.images.image import Application, ImageDefinition, Images, InputFile, Script
from samovar.project.project import Project

NOT_IMAGES = {"bakery", "standin", "__pycache__"}
STEPS = (Path(__file__).parent / "bake.sh", Path(__file__).parent / "clean.sh")

T = TypeVar("T")
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+:@_-]*$")]


def _absolute(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path} is not an absolute path in the image")
    return path


def _within(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{path} is not a path in this repository")
    return path


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"one line of printable characters; not {text!r}")
    return text


Line = Annotated[str, AfterValidator(_one_line)]
Target = Annotated[Line, AfterValidator(_absolute)]
Source = Annotated[Line, AfterValidator(_within)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Strict):
    """A file or folder of the repository and its place in the image. Without `mode`: 0755 if executable, else 0644."""

    source: Source
    target: Target
    mode: Annotated[str, StringConstraints(pattern="^0[0-7]{3}$")] | None = None
    owner: Annotated[str, StringConstraints(pattern="^[a-z_][a-z0-9_-]*:[a-z_][a-z0-9_-]*$")] = "root:root"


class ApplicationEntry(_Strict):
    """The closed program that the image ships at `target`. Without `url` and `sha256`: the stand-in for it."""

    target: Target
    url: Annotated[str, StringConstraints(pattern=r"^(https|file)://[^\s]+$")] | None = None
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if (self.url is None) != (self.sha256 is None):
            raise ValueError("url and sha256 go together")
        return self


class ChecksEntry(_Strict):
    """What is checked beyond packages, files, services and hygiene, which always are."""

    commands: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = ()
    absent: tuple[Target, ...] = ()


class ImageFile(_Strict):
    """The keys of `image.yaml`; sources are paths from the root of the repository."""

    description: Annotated[Line, Field(max_length=200)]
    parent: Word | None = None
    suite: Word | None = None
    packages: tuple[Word, ...] = ()
    files: tuple[FileEntry, ...] = ()
    services: tuple[Word, ...] = ()
    scripts: tuple[Source, ...] = ()
    application: ApplicationEntry | None = None
    borrow: Word | None = None  # the image whose application runs while this one is baked
    checks: ChecksEntry = ChecksEntry()

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.parent is None) == (self.suite is None):
            raise ValueError("an image has either a parent or, as a root, a suite of Debian")
        return self


def load_images(project: Project) -> Images:
    """Return every image of the project, parents before children. Raises ConfigError."""
    root = project.folder
    folders = sorted(path for path in (root / "images").iterdir() if path.is_dir() and path.name not in NOT_IMAGES)
    steps = tuple(Script(path.name, path.read_bytes()) for path in STEPS)
    parsed = {folder.name: _parse(folder) for folder in folders}
    loaded = {name: _load(root, name, parsed, steps) for name in parsed}
    return {name: loaded[name] for name in _parents_first(root, loaded)}


def _parse(folder: Path) -> ImageFile:
    if not re.fullmatch("[a-z][a-z0-9-]{0,40}", folder.name):
        raise ConfigError(f"{folder}: not an image's name", remedy="use small letters, digits and hyphens")
    remedy = "an image folder holds an image.yaml: add it, or remove the folder"
    return load_model(folder / "image.yaml", ImageFile, remedy=remedy)


def _load(root: Path, name: str, every: Mapping[str, ImageFile], steps: tuple[Script, ...]) -> ImageDefinition:
    path, parsed = root / "images" / name / "image.yaml", every[name]
    return ImageDefinition(
        name=name,
        description=parsed.description,
        parent=parsed.parent,
        suite=parsed.suite,
        packages=parsed.packages,
        files=_files(root, path, parsed),
        services=parsed.services,
        scripts=tuple(Script(each, _read(root, path, each, at)) for each, at in _numbered("scripts", parsed.scripts)),
        commands=parsed.checks.commands,
        absent=parsed.checks.absent,
        steps=steps,
        application=_application(parsed),
        borrowed=_borrowed(path, parsed.borrow, every),
    )


def _application(parsed: ImageFile) -> Application | None:
    if (entry := parsed.application) is None:
        return None
    return (
        Application(entry.target, entry.sha256, entry.url) if entry.url and entry.sha256 else the_standin(entry.target)
    )


def _borrowed(path: Path, of: str | None, every: Mapping[str, ImageFile]) -> Application | None:
    if of is None:
        return None
    if of not in every or (application := _application(every[of])) is None:
        shipping = ", ".join(name for name, parsed in every.items() if parsed.application) or "none"
        raise ConfigError(
            f"{place_of(path, ('borrow',))}: {of} ships no application", remedy=f"images that do: {shipping}"
        )
    return replace(application, target=BORROWED)


def _files(root: Path, path: Path, parsed: ImageFile) -> tuple[InputFile, ...]:
    entries = _numbered("files", parsed.files)
    files = tuple(file for entry, at in entries for file in _expand(root, path, entry, (*at, "source")))
    targets = [file.target for file in files]
    doubled = {target for target in targets if targets.count(target) > 1}
    if doubled:
        place = place_of(path, ("files",))
        raise ConfigError(f"{place}: {', '.join(sorted(doubled))} comes twice", remedy="keep one source for it")
    return files


def _expand(root: Path, path: Path, entry: FileEntry, at: Location) -> Iterator[InputFile]:
    source = root / entry.source
    if not source.is_dir():
        yield _input(entry, entry.target, source, _read(root, path, entry.source, at))
        return
    inner = sorted(file for file in source.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    if not inner:
        raise _missing(path, entry.source, at, "has no file in it")
    for file in inner:
        yield _input(entry, f"{entry.target.rstrip('/')}/{file.relative_to(source)}", file, file.read_bytes())


def _input(entry: FileEntry, target: str, source: Path, data: bytes) -> InputFile:
    """Git keeps no more of a mode than the executable bit, so no more of it counts."""
    usual = 0o755 if source.stat().st_mode & 0o100 else 0o644
    return InputFile(target, int(entry.mode, 8) if entry.mode else usual, entry.owner, data)


def _numbered(key: str, items: Iterable[T]) -> Iterator[tuple[T, Location]]:
    return ((item, (key, number)) for number, item in enumerate(items))


def _read(root: Path, path: Path, name: str, at: Location) -> bytes:
    try:
        return (root / name).read_bytes()
    except OSError as error:
        raise _missing(path, name, at, error.strerror or "unreadable") from error


def _missing(path: Path, name: str, at: Location, why: str) -> ConfigError:
    return ConfigError(f"{place_of(path, at)}: {name}: {why}", remedy=f"add {name}, seen from the repository's root")


def _parents_first(root: Path, images: Images) -> list[str]:
    order: list[str] = []
    for name in images:
        _visit(root, images, name, order, ())
    return order


def _visit(root: Path, images: Images, name: str, order: list[str], children: tuple[str, ...]) -> None:
    if name in children:
        chain = " <- ".join((*children[children.index(name) :], name))
        raise ConfigError(f"{_parent(root, name)}: a circle: {chain}", remedy="let one of them be a root image")
    if name in order:
        return
    parent = images[name].parent
    if parent is not None and parent not in images:
        known = ", ".join(sorted(images))
        raise ConfigError(f"{_parent(root, name)}: no image {parent}", remedy=f"known images: {known}")
    if parent is not None:
        _visit(root, images, parent, order, (*children, name))
    order.append(name)


def _parent(root: Path, name: str) -> str:
    return place_of(root / "images" / name / "image.yaml", ("parent",))
