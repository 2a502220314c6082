"""Loads images: those of the project and those of the library. An image is one folder.

image.yaml  what is no file: packages, services, checks (`samovar.project.image`)
role.yaml   the role of its machines, which children inherit and extend
rootfs/     copied as it lies: root's, 0755 where executable, else 0644
templates/  what the node agent renders for the role
scripts/    run inside the image, in the order of their names
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import yaml

from samovar.core.errors import ConfigError
from samovar.core.paths import LIBRARY, PACKAGE
from samovar.core.validation import Location
from samovar.core.yaml_file import place_of
from samovar.images.apt_repository import apt_files, is_public_key
from samovar.images.artifact import BORROWED
from samovar.images.definition import Application, ImageDefinition, Images, InputFile, InputLink, Script, lineage
from samovar.images.image_folder import ImageFolder, image_folders, parse_folder
from samovar.images.inheritance import ROLES, in_version, merge_parent, read_roles, refuse_place
from samovar.images.reserved_names import check_folder_name, check_service_name
from samovar.images.rootfs import read_folder, read_input, read_rootfs
from samovar.images.unit import with_service
from samovar.images.zipapp import byte_code
from samovar.project.application import Format, Run
from samovar.project.fields import OF_LIBRARY, written_name
from samovar.project.image import Checks, File, Image, Repository
from samovar.project.project import Project

ENGINE = Path(__file__).parent
STEPS = (ENGINE / "bake.sh", ENGINE / "clean.sh")
STEPS_OF_OCI = (ENGINE / "unit.py", *sorted((ENGINE / "oci").glob("*.py")))
"""What makes a tree and a unit of an OCI image when it is baked: a change of it makes another image."""
TEMPLATES = "/usr/share/samovar/templates"
DRY_RUN = ("env", "PYTHONPATH=/usr/lib/samovar", "python3", "-m", "samovar_agent.dry_run")

T = TypeVar("T")


def load_images(project: Project) -> Images:
    """Return every image of the project and of the library, parents before children. Raises ConfigError."""
    own = {path.name: parse_folder(path, project.folder) for path in image_folders(project.images)}
    for name in own:
        check_folder_name(project.images / name)
    shared = {f"{OF_LIBRARY}{path.name}": parse_folder(path, PACKAGE) for path in image_folders(LIBRARY / "images")}
    folders = {**shared, **own}
    steps = _steps(STEPS)
    return {name: _load(name, folders, steps) for name in _parents_first(folders)}


def _load(name: str, folders: Mapping[str, ImageFolder], steps: tuple[Script, ...]) -> ImageDefinition:
    return in_version(_merged(name, folders, steps), _version(name, folders))


def _version(name: str | None, folders: Mapping[str, ImageFolder]) -> str | None:
    return _inherited(name, folders, lambda image: image.version)


def _inherited(
    name: str | None, folders: Mapping[str, ImageFolder], stated: Callable[[Image], str | None]
) -> str | None:
    """Return what the image or the nearest of its parents states."""
    chain = lineage(name, folders) if name else ()
    return next(filter(None, (stated(folder.image) for folder in chain)), None)


def _merged(
    name: str, folders: Mapping[str, ImageFolder], steps: tuple[Script, ...], *, by_child: bool = False
) -> ImageDefinition:
    """Return the image; in another version than its parent's, or where that of a child is, merged with its parents."""
    folder = folders[name]
    own = _own(name, folders, steps)
    inherited = _version(folder.parent, folders)
    another = by_child or folder.image.version not in {None, inherited}
    if folder.parent is None or inherited is None or not another:
        return own
    return merge_parent(own, _merged(folder.parent, folders, steps, by_child=True))


def _own(name: str, folders: Mapping[str, ImageFolder], steps: tuple[Script, ...]) -> ImageDefinition:
    folder = folders[name]
    if not _version(name, folders):
        refuse_place(folder)
    image = folder.image
    application = folder.application
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
        commands=(*_dry_runs(name, image.checks), *image.checks.commands),
        absent=image.checks.absent,
        steps=(*steps, *(_steps(STEPS_OF_OCI) if application and application.format is Format.OCI else ())),
        application=application,
        borrowed=_borrowed(folder, folders),
        data_format=_inherited(name, folders, lambda image: image.data_format) or "",
    )
    run = _run(folder, application)
    if application is None or run is None:
        return definition
    _, *parents = lineage(name, folders)
    check_service_name(name, application, run, {unit for each in parents for unit in each.image.services})
    return with_service(definition, application, run)


def _dry_runs(name: str, checks: Checks) -> Iterator[tuple[str, ...]]:
    """Yield the commands by which the agent tries the role; without settings it takes the defaults."""
    for settings in checks.dry_runs:
        yield (*DRY_RUN, name, *([yaml.safe_dump(settings, sort_keys=False)] if settings else []))


def _steps(paths: Iterable[Path]) -> tuple[Script, ...]:
    return tuple(Script(path.name, path.read_bytes()) for path in paths)


def _run(folder: ImageFolder, application: Application | None) -> Run | None:
    """Return what image.yaml says of the unit. Raises ConfigError where it does not say what is started."""
    entry = folder.image.application
    run = application.run if application and application.run else entry.run if entry else None
    if run and application and not run.command and application.format in {Format.TARBALL, Format.DEB}:
        place = place_of(folder.file, ("application", "run"))
        raise ConfigError(f"{place}: command is missing", remedy="state the program that is started, and its arguments")
    return run


def _borrowed(folder: ImageFolder, folders: Mapping[str, ImageFolder]) -> Application | None:
    lender = folder.image.borrow
    if lender is None:
        return None
    application = folders[lender].application if lender in folders else None
    if application is None or application.format is not Format.FILE:
        place = place_of(folder.file, ("borrow",))
        raise ConfigError(
            f"{place}: {lender} ships no application that is one file", remedy="name an image whose application is"
        )
    return replace(application, target=BORROWED)


def _files(name: str, folders: Mapping[str, ImageFolder]) -> tuple[InputFile, ...]:
    """Return the files of the image by their targets. Raises ConfigError where two have one."""
    folder = folders[name]
    files = [
        *(file for entry, at in _numbered("files", folder.image.files) for file in _listed(folder, entry, at)),
        *_with_modes(folder, read_rootfs(folder.part("rootfs"))),
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


def _listed(folder: ImageFolder, entry: File, at: Location) -> Iterator[InputFile]:
    """Yield the file that an entry of `files` names, or all files of the folder."""
    place = (*at, "source")
    source = folder.locate(entry.source, place)
    files = folder.attempt(entry.source, place, lambda: read_input(source))
    if not files:
        raise folder.missing(entry.source, place, "has no file in it")
    for path, file in files:
        mode = int(entry.mode, 8) if entry.mode else file.mode
        yield InputFile(f"{entry.target.rstrip('/')}{path}" if path else entry.target, mode, entry.owner, file.data)


def _with_modes(folder: ImageFolder, files: Iterable[InputFile]) -> Iterator[InputFile]:
    """Yield the files of rootfs/ with the modes that image.yaml states."""
    modes = dict(folder.image.modes)
    for file in files:
        mode = modes.pop(file.target, None)
        yield replace(file, mode=int(mode, 8)) if mode else file
    for target in modes:
        raise folder.missing(f"rootfs{target}", ("modes", target), "No such file")


def _templates(folder: ImageFolder) -> tuple[InputFile, ...]:
    return read_folder(folder.part("templates"))


def _apt(folder: ImageFolder, entry: Repository, at: Location) -> tuple[InputFile, ...]:
    key = folder.read(entry.key, (*at, "key"))
    if not is_public_key(key):
        place = place_of(folder.file, (*at, "key"))
        raise ConfigError(
            f"{place}: {entry.key} is no public key of OpenPGP", remedy="gpg --export --armor KEY makes one"
        )
    return apt_files(f"{OF_LIBRARY}{folder.path.name}-{at[-1]}", entry, key)


def _role(name: str, folders: Mapping[str, ImageFolder]) -> Iterator[InputFile]:
    """Yield the role of the image's machines: its own role.yaml over those of its parents, as far as there are any."""
    files = [folder.part("role.yaml") for folder in lineage(name, folders)]
    if present := [file for file in files if file.is_file()]:
        yield InputFile(f"{ROLES}/{name}.yaml", 0o644, "root:root", read_roles(present))


def _scripts(folder: ImageFolder) -> Iterator[Script]:
    """Yield the scripts that image.yaml names, then those of scripts/. A zipapp has its byte code before they run."""
    application = folder.image.application
    if application and application.zipapp:
        yield byte_code(application.target or "")
    for source, at in _numbered("scripts", folder.image.scripts):
        yield Script(source, folder.read(source, at))
    for file in read_folder(folder.part("scripts")):
        yield Script(f"scripts{file.target}", file.data)


def _numbered(key: str, items: Iterable[T]) -> Iterator[tuple[T, Location]]:
    return ((item, (key, number)) for number, item in enumerate(items))


def _parents_first(folders: Mapping[str, ImageFolder]) -> list[str]:
    order: list[str] = []
    for name in folders:
        _visit(folders, name, order, ())
    return order


def _visit(folders: Mapping[str, ImageFolder], name: str, order: list[str], children: tuple[str, ...]) -> None:
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
