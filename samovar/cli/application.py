"""The options that describe an application, what a command makes of them, and errors that name the option to change."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar
from urllib.parse import urlsplit

import rich_click as click

from samovar.core.constants import MAX_PORT
from samovar.core.errors import ConfigError
from samovar.core.output import stderr_reporter

if TYPE_CHECKING:
    from samovar.project.application import Format
    from samovar.project.scaffold import NewApplication

F = TypeVar("F", bound=Callable[..., object])
DATABASE = "database"
"""The group of a database that is given no name."""
ELF, AMD64, ELF_HEAD = b"\x7fELF", b"\x3e\x00", 20
"""How an executable begins, and for which processor it is, at the bytes 18 and 19."""
HEAD = 256
"""Bytes: the most that Linux reads of the first line of a script."""
DATABASE_OPTION = "--database GROUP"


class ApplicationOptions(TypedDict):
    """The options that describe an application, as they were given."""

    app: str | None
    sha256: str | None
    command: str | None
    port: int | None
    health: str | None
    database: str | None


def application_options(function: F) -> F:
    """Add the options that describe an application."""
    for option in (
        click.option(
            "--database",
            is_flag=False,
            flag_value=DATABASE,
            metavar="[GROUP]",
            help="Give it a PostgreSQL, and say where that is in DATABASE_URL, PGHOST, PGPASSWORD, ... GROUP has it, "
            f"{DATABASE} by default, and is added where it is not there.",
        ),
        click.option(
            "--health", metavar="PATH", help="A page that answers 200 while it is well; else PORT is checked."
        ),
        click.option("--port", type=click.IntRange(1, MAX_PORT), help="The port that it listens at; also in PORT."),
        click.option("--command", help="The program and its arguments, where APP is not an executable itself."),
        click.option("--sha256", metavar="HEX", help="The digest of what APP leads to, where that is a url."),
        click.option(
            "--app",
            help="An executable, a folder, a tarball, a .deb, or the archive or layout of an OCI image, which is "
            "copied into the project; a url (https:// or file://) of an executable, a tarball or a .deb; or an OCI "
            "image of a registry, whose tag is resolved to a digest once.",
        ),
    ):
        function = option(function)
    return function


def group_name(name: str, argument: str, what: str = "an image and a group") -> str:
    """Return the name that the argument gives. Raises ConfigError where it cannot be that of `what`."""
    from samovar.project.fields import NAME

    if not re.match(NAME, name):
        raise ConfigError(
            f"{name} cannot be the name of {what}",
            remedy=f"give another {argument}: up to 31 small letters, digits and hyphens, a letter first",
        )
    return name


def database_group_name(name: str, application: str) -> str:
    """Return the name. Raises ConfigError where it cannot be that of the group of the application's database."""
    if name == application:
        raise ConfigError(f"{name} is the group of the application", remedy=f"give another {DATABASE_OPTION}")
    return group_name(name, DATABASE_OPTION)


def new_application(name: str, options: ApplicationOptions, *, worker: bool = False) -> NewApplication:
    """Return the application that the options describe: a worker has no port.

    Raises ConfigError, and asks a registry for the digest of a tag.
    """
    from samovar.images.oci.fetch import find_digest
    from samovar.project.application import Format, format_of
    from samovar.project.scaffold import NewApplication

    app, port, health = options["app"], 0 if worker else options["port"], options["health"] or ""
    if not app or port is None:
        raise click.UsageError(f"Missing option '{'--port' if app else '--app'}'.")
    if health and not health.startswith("/"):
        raise ConfigError(f"--health {health} is no path", remedy="write it as /healthz")
    path = Path(app)
    application = NewApplication(name, port, health, command=_words(options["command"] or ""))
    if "://" in app:
        return _by_url(application, app, options["sha256"])
    if options["sha256"]:
        raise ConfigError(f"{app} is no url, and --sha256 is for one", remedy="leave --sha256 out")
    if not path.exists():
        return replace(application, oci=_resolved(app))
    if digest := find_digest(path):
        return replace(application, oci=f"./{path.name}@{digest}", source=path.name)
    form = Format.TARBALL if path.is_dir() else format_of(path.name)
    if form is Format.FILE and not application.command:
        _check_executable(path, app)
    return replace(application, source=path.name, target=_target(application, form, app, path.name))


def _words(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise ConfigError(f"--command {command}: {error}", remedy="write it as a shell takes it") from error


def _by_url(application: NewApplication, app: str, sha256: str | None) -> NewApplication:
    """Return the application with the url and the digest of what that leads to, which is fetched and checked."""
    from samovar.images.artifact import fetch_url
    from samovar.project.application import SHA256, URL, Format, format_of

    url, _, fragment = app.partition("#")
    stated = sha256 or fragment.removeprefix("sha256=")
    if not re.match(URL, url):
        raise ConfigError(f"{url} is no url of an application", remedy="write --app https://... or file:///...")
    if stated and not re.match(SHA256, stated):
        raise ConfigError(f"{stated} is no sha256", remedy="write its 64 hex digits in small letters: sha256sum FILE")
    form = format_of(urlsplit(url).path)
    target = _target(application, form, url, application.name)
    file = fetch_url(url, stated)
    if form is Format.FILE and not application.command:
        _check_executable(file, url)
    if not stated:
        stderr_reporter().info(f"{url} has the sha256 {file.name}: compare it with what its publisher says")
    return replace(application, url=url, sha256=file.name, target=target)


def _target(application: NewApplication, form: Format, app: str, file: str) -> str:
    """Return where the application goes. Raises ConfigError where nothing says what of it is run."""
    from samovar.project.application import Format

    name = application.name
    if not application.command and form is not Format.FILE:
        raise ConfigError(f"{app} is not an executable itself", remedy=f"say what is run: --command /opt/{name}/...")
    return {Format.DEB: "", Format.TARBALL: f"/opt/{name}"}.get(form, f"/opt/{name}/{file}")


def _check_executable(path: Path, app: str) -> None:
    """Raise ConfigError for what no machine can start: each is Linux on amd64, elf(5)."""
    from samovar.images.artifact import check_line_ends

    with path.open("rb") as file:
        head = file.read(HEAD)
    check_line_ends(head, app)
    if head.startswith(b"#!") or (head.startswith(ELF) and head[:ELF_HEAD].endswith(AMD64)):
        return
    what = (
        "a program for another processor" if head.startswith(ELF) else "neither a program of Linux nor a script with #!"
    )
    raise ConfigError(
        f"{app} is {what}", remedy="build it for Linux on amd64, or say what runs it: --command 'PROGRAM ARGUMENTS'"
    )


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write files by their paths in `folder`."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def copy_application(application: NewApplication, app: str, folder: Path) -> None:
    """Copy a file or folder beside image.yaml in the project `folder`. Of an image of a registry there is none."""
    if not application.source:
        return
    target = folder / "images" / application.name / application.source
    if Path(app).is_dir():
        shutil.copytree(app, target, symlinks=True)
    else:
        shutil.copy(app, target)


def _resolved(app: str) -> str:
    from samovar.images.oci.fetch import resolve_tag

    if "/" not in app or app.startswith(("/", "./", "../")):
        raise ConfigError(
            f"{app} is not there",
            remedy="give --app a file, a folder or an OCI image: registry.example.org/api:1.2",
        )
    return resolve_tag(app)
