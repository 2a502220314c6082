"""The command `init`: a project of one's own, from an application."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

import rich_click as click

from samovar.cli.context import examples
from samovar.core.errors import ConfigError, command_line
from samovar.core.output import stderr_reporter
from samovar.core.units import MAX_PORT

if TYPE_CHECKING:
    from samovar.project.scaffold import NewApplication

F = TypeVar("F", bound=Callable[..., object])
DATABASE = "database"
"""The group of the database that `init` adds."""


class ApplicationOptions(TypedDict):
    """The options that describe an application, as they were given."""

    app: str | None
    command: str | None
    port: int | None
    health: str | None


def application_options(function: F) -> F:
    """Add the options that describe an application."""
    for option in (
        click.option(
            "--health", metavar="PATH", help="A page that answers 200 while it is well; else PORT is checked."
        ),
        click.option("--port", type=click.IntRange(1, MAX_PORT), help="The port that it listens at; also in PORT."),
        click.option("--command", help="The program and its arguments, where APP is not an executable itself."),
        click.option(
            "--app",
            help="An executable, a folder, a tarball, a .deb, or the archive or layout of an OCI image, which is "
            "copied into the project; or an OCI image of a registry, whose tag is resolved to a digest once.",
        ),
    ):
        function = option(function)
    return function


@click.command(
    epilog=examples(
        "init shop --app ./api --port 8080 --health /healthz --database",
        "init shop --app ./api.tar.gz --command '/opt/shop/bin/api --port 8080' --port 8080",
        "init shop --app registry.example.org/shop/api:1.2 --port 8080 --health /healthz",
    )
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@application_options
@click.option(
    "--database", is_flag=True, help="Add a PostgreSQL, and say where it is in DATABASE_URL, PGHOST, PGPASSWORD, ..."
)
def init(folder: Path, *, database: bool, **options: Unpack[ApplicationOptions]) -> None:
    """Make a project in FOLDER that runs APP on machines that heal themselves, behind a balancer.

    FOLDER must not exist, or be empty. Its name becomes that of the project's image and group.
    """
    from samovar.project.scaffold import NewDatabase, identifier, project_files

    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty", remedy="name a folder that does not exist yet")
    name = group_name(folder.absolute().name, "name the folder")
    application = new_application(name, options)
    if database:
        application = replace(application, database=NewDatabase(DATABASE, identifier(name)))
    write_files(folder, project_files(application))
    copy_application(application, options["app"] or "", folder)
    click.echo("\n".join(str(file) for file in sorted(folder.rglob("*")) if file.is_file()))
    stderr_reporter().info(f"next: cd {shlex.quote(str(folder))} && {command_line('up dev')}")


def group_name(name: str, remedy: str) -> str:
    """Return the name. Raises ConfigError where it cannot be that of an image and a group."""
    from samovar.project.fields import NAME

    if not re.match(NAME, name):
        raise ConfigError(
            f"{name} cannot be the name of an image and a group",
            remedy=f"{remedy} with up to 31 small letters, digits and hyphens, a letter first",
        )
    return name


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
    words, path = tuple(shlex.split(options["command"] or "")), Path(app)
    application = NewApplication(name, port, health, command=words)
    if not path.exists():
        return replace(application, oci=_resolved(app))
    if digest := find_digest(path):
        return replace(application, oci=f"./{path.name}@{digest}", source=path.name)
    form = Format.TARBALL if path.is_dir() else format_of(path.name)
    if not words and form is not Format.FILE:
        raise ConfigError(f"{app} is not an executable itself", remedy=f"say what is run: --command /opt/{name}/...")
    targets = {Format.DEB: "", Format.TARBALL: f"/opt/{name}", Format.FILE: f"/opt/{name}/{path.name}"}
    return replace(application, source=path.name, target=targets[form])


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
            f"{app} is not there", remedy="name a file or a folder, or an OCI image: registry.example.org/shop/api:1.2"
        )
    return resolve_tag(app)
