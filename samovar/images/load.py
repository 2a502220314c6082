"""Loads images: those of the project and those of the library. An image is one folder.

image.yaml  what is no file: packages, services, checks (`samovar.project.image`)
role.yaml   the role of its machines, which children inherit and extend
rootfs/     copied as it lies: root's, 0755 where executable, else 0644
templates/  what the node agent renders for the role
scripts/    run inside the image, in the order of their names
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from samovar.core.errors import ConfigError
from samovar.core.paths import LIBRARY, PACKAGE
from samovar.core.validation import Location
from samovar.core.yaml_file import load_model, place_of
from samovar.images.apt_repository import apt_files, is_public_key
from samovar.images.artifact import BORROWED, application_of
from samovar.images.definition import Application, ImageDefinition, Images, InputFile, InputLink, Script, lineage
from samovar.images.role import read_roles
from samovar.images.rootfs import read_folder, read_input, read_rootfs
from samovar.images.unit import with_service
from samovar.project.application import Format, Run
from samovar.project.fields import OF_LIBRARY, library_name, written_name
from samovar.project.image import File, Image, Repository
from samovar.project.project import Project

ENGINE = Path(__file__).parent
STEPS = (ENGINE / "bake.sh", ENGINE / "clean.sh")
STEPS_OF_OCI = (ENGINE / "unit.py", *sorted((ENGINE / "oci").glob("*.py")))
"""What makes a tree and a unit of an OCI image when it is baked: a change of it makes another image."""
ROLES = "/usr/lib/samovar/roles"
TEMPLATES = "/usr/share/samovar/templates"

T = TypeVar("T")


@dataclass(frozen=True)
class _Folder:
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

    def read(self, source: str, at: Location) -> bytes:
        """Return the content of a file that image.yaml names. Raises ConfigError that names the line."""
        return self.attempt(source, at, self.locate(source, at).read_bytes)

    def attempt(self, source: str, at: Location, read: Callable[[], T]) -> T:
        try:
            return read()
        except OSError as error:
            raise self.missing(source, at, error.strerror or "unreadable") from error

    def locate(self, source: str, at: Location) -> Path:
        """Return the path of a source. Raises ConfigError where it is outside of the project."""
        path = Path(os.path.normpath(self.path / source))
        if not path.is_relative_to(os.path.normpath(self.root)):
            raise ConfigError(
                f"{place_of(self.file, at)}: {source} is not a path in this project",
                remedy=f"correct it: it is seen from {self.path}, and stays in {self.root}",
            )
        return path

    def present(self, source: str, at: Location) -> Path:
        """Return the path of a source. Raises ConfigError that names the line, where nothing is there."""
        path = self.locate(source, at)
        self.attempt(source, at, path.stat)
        return path

    def missing(self, source: str, at: Location, why: str) -> ConfigError:
        return ConfigError(f"{place_of(self.file, at)}: {source}: {why}", remedy=f"add {source}, seen from {self.path}")


def load_images(project: Project) -> Images:
    """Return every image of the project and of the library, parents before children. Raises ConfigError."""
    own = {path.name: _parse(path, project.folder) for path in _folders(project.images)}
    for name in own:
        if name.startswith(OF_LIBRARY):
            raise ConfigError(
                f"{project.images / name}: an image's name may not begin with {OF_LIBRARY}, as the library's do",
                remedy="rename the folder",
            )
    shared = {f"{OF_LIBRARY}{path.name}": _parse(path, PACKAGE) for path in _folders(LIBRARY / "images")}
    folders = {**shared, **own}
    steps = _steps(STEPS)
    return {name: _load(name, folders, steps) for name in _parents_first(folders)}


def _folders(images: Path) -> list[Path]:
    """Return the folders of images; one of which git left but byte code is none."""
    folders = sorted(path for path in images.glob("[!_.]*") if path.is_dir())
    return [path for path in folders if [entry.name for entry in path.iterdir()] != ["__pycache__"]]


def _parse(path: Path, root: Path) -> _Folder:
    if not re.fullmatch("[a-z][a-z0-9-]{0,40}", path.name):
        raise ConfigError(f"{path}: not an image's name", remedy="use small letters, digits and hyphens")
    remedy = "an image folder holds an image.yaml: add it, or remove the folder"
    return _Folder(path, root, load_model(path / "image.yaml", Image, remedy=remedy))


def _load(name: str, folders: Mapping[str, _Folder], steps: tuple[Script, ...]) -> ImageDefinition:
    folder = folders[name]
    image = folder.image
    application = _application(folder)
    definition = ImageDefinition(
        name=name,
        description=image.description,
        parent=folder.parent,
        suite=image.suite,
        packages=image.packages,
        files=_files(name, folders),
        links=tuple(InputLink(target, points_to) for target, points_to in sorted(image.links.items())),
        services=image.services,
        scripts=tuple(_scripts(folder)),
        commands=image.checks.commands,
        absent=image.checks.absent,
        steps=(*steps, *(_steps(STEPS_OF_OCI) if application and application.format is Format.OCI else ())),
        application=application,
        borrowed=_borrowed(folder, folders),
    )
    run = _run(folder, application)
    if application is None or run is None:
        return definition
    _, *parents = lineage(name, folders)
    return with_service(definition, application, run, {unit for each in parents for unit in each.image.services})


def _steps(paths: Iterable[Path]) -> tuple[Script, ...]:
    return tuple(Script(path.name, path.read_bytes()) for path in paths)


def _application(folder: _Folder) -> Application | None:
    entry = folder.image.application
    if entry is None:
        return None

    def locate(source: str, key: str) -> Path:
        place = ("application", *key.split("."))
        return folder.present(source, place)

    return application_of(folder.path.name, entry, locate)


def _run(folder: _Folder, application: Application | None) -> Run | None:
    """Return what image.yaml says of the unit. Raises ConfigError where it does not say what is started."""
    entry = folder.image.application
    run = application.run if application and application.run else entry.run if entry else None
    if run and application and not run.command and application.format in {Format.TARBALL, Format.DEB}:
        place = place_of(folder.file, ("application", "run"))
        raise ConfigError(f"{place}: command is missing", remedy="state the program that is started, and its arguments")
    return run


def _borrowed(folder: _Folder, folders: Mapping[str, _Folder]) -> Application | None:
    lender = folder.image.borrow
    if lender is None:
        return None
    application = _application(folders[lender]) if lender in folders else None
    if application is None or application.format is not Format.FILE:
        place = place_of(folder.file, ("borrow",))
        raise ConfigError(
            f"{place}: {lender} ships no application that is one file", remedy="name an image whose application is"
        )
    return replace(application, target=BORROWED)


def _files(name: str, folders: Mapping[str, _Folder]) -> tuple[InputFile, ...]:
    """Return the files of the image by their targets. Raises ConfigError where two have one."""
    folder = folders[name]
    files = [
        *(file for entry, at in _numbered("files", folder.image.files) for file in _listed(folder, entry, at)),
        *_with_modes(folder, read_rootfs(folder.path / "rootfs")),
        *(InputFile(f"{TEMPLATES}{file.target}", 0o644, file.owner, file.data) for file in _templates(folder)),
        *_role(name, folders),
        *(
            file
            for entry, at in _numbered("repositories", folder.image.repositories)
            for file in _apt(folder, entry, at)
        ),
    ]
    targets = [*(file.target for file in files), *folder.image.links]
    doubled = sorted({target for target in targets if targets.count(target) > 1})
    if doubled:
        place = place_of(folder.file, ("files",))
        raise ConfigError(f"{place}: {', '.join(doubled)} comes twice", remedy="keep one source for it")
    return tuple(sorted(files, key=lambda file: file.target))


def _listed(folder: _Folder, entry: File, at: Location) -> Iterator[InputFile]:
    """Yield the file that an entry of `files` names, or all files of the folder."""
    place = (*at, "source")
    source = folder.locate(entry.source, place)
    files = folder.attempt(entry.source, place, lambda: read_input(source))
    if not files:
        raise folder.missing(entry.source, place, "has no file in it")
    for path, file in files:
        mode = int(entry.mode, 8) if entry.mode else file.mode
        yield InputFile(f"{entry.target.rstrip('/')}{path}" if path else entry.target, mode, entry.owner, file.data)


def _with_modes(folder: _Folder, files: Iterable[InputFile]) -> Iterator[InputFile]:
    """Yield the files of rootfs/ with the modes that image.yaml states."""
    modes = dict(folder.image.modes)
    for file in files:
        mode = modes.pop(file.target, None)
        yield replace(file, mode=int(mode, 8)) if mode else file
    for target in modes:
        raise folder.missing(f"rootfs{target}", ("modes", target), "No such file")


def _templates(folder: _Folder) -> tuple[InputFile, ...]:
    return read_folder(folder.path / "templates")


def _apt(folder: _Folder, entry: Repository, at: Location) -> tuple[InputFile, ...]:
    key = folder.read(entry.key, (*at, "key"))
    if not is_public_key(key):
        place = place_of(folder.file, (*at, "key"))
        raise ConfigError(
            f"{place}: {entry.key} is no public key of OpenPGP", remedy="gpg --export --armor KEY makes one"
        )
    return apt_files(f"{OF_LIBRARY}{folder.path.name}-{at[-1]}", entry, key)


def _role(name: str, folders: Mapping[str, _Folder]) -> Iterator[InputFile]:
    """Yield the role of the image's machines: its own role.yaml over those of its parents, as far as there are any."""
    files = [folder.path / "role.yaml" for folder in lineage(name, folders)]
    if present := [file for file in files if file.is_file()]:
        yield InputFile(f"{ROLES}/{name}.yaml", 0o644, "root:root", read_roles(present))


def _scripts(folder: _Folder) -> Iterator[Script]:
    """Yield the scripts that image.yaml names, then those of scripts/."""
    for source, at in _numbered("scripts", folder.image.scripts):
        yield Script(source, folder.read(source, at))
    for file in read_folder(folder.path / "scripts"):
        yield Script(f"scripts{file.target}", file.data)


def _numbered(key: str, items: Iterable[T]) -> Iterator[tuple[T, Location]]:
    return ((item, (key, number)) for number, item in enumerate(items))


def _parents_first(folders: Mapping[str, _Folder]) -> list[str]:
    order: list[str] = []
    for name in folders:
        _visit(folders, name, order, ())
    return order


def _visit(folders: Mapping[str, _Folder], name: str, order: list[str], children: tuple[str, ...]) -> None:
    if name in children:
        chain = " <- ".join((*children[children.index(name) :], name))
        place = place_of(folders[name].file, ("parent",))
        raise ConfigError(f"{place}: inheritance cycle: {chain}", remedy="let one of them be a root image")
    if name in order:
        return
    parent = folders[name].parent
    if parent is not None and parent not in folders:
        place = place_of(folders[name].file, ("parent",))
        images = ", ".join(map(written_name, sorted(folders)))
        raise ConfigError(f"{place}: no image {folders[name].image.parent}", remedy=f"known images: {images}")
    if parent is not None:
        _visit(folders, parent, order, (*children, name))
    order.append(name)
