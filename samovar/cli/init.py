"""The command `init`: a project of one's own, from an application."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.context import examples
from samovar.core.errors import ConfigError
from samovar.core.output import stderr_reporter
from samovar.core.program import command_line
from samovar.core.units import MAX_PORT

if TYPE_CHECKING:
    from samovar.project.scaffold import NewProject


@click.command(
    epilog=examples(
        "init shop --app ./api --port 8080 --health /healthz",
        "init shop --app ./api.tar.gz --command '/opt/shop/bin/api --port 8080' --port 8080",
        "init shop --app registry.example.org/shop/api:1.2 --port 8080 --health /healthz",
    )
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--app",
    required=True,
    help="An executable, a folder, a tarball or a .deb, which is copied into the project; or an OCI image of a "
    "registry, whose tag is resolved to a digest once.",
)
@click.option("--command", default="", help="The program and its arguments, where APP is not an executable itself.")
@click.option(
    "--port", type=click.IntRange(1, MAX_PORT), required=True, help="The port that it listens at; also in PORT."
)
@click.option(
    "--health", default="", metavar="PATH", help="A page that answers 200 while it is well; else PORT is checked."
)
def init(folder: Path, app: str, command: str, port: int, health: str) -> None:
    """Make a project in FOLDER that runs APP on machines that heal themselves, behind a balancer.

    FOLDER must not exist, or be empty. Its name becomes that of the project's image and group.
    """
    from samovar.project.scaffold import scaffold

    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty", remedy="name a folder that does not exist yet")
    project = _project(_name(folder), app, command, port, health)
    for path, text in scaffold(project).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        click.echo(folder / path)
    if project.source:
        _copy(Path(app), folder / "images" / project.name / project.source)
        click.echo(folder / "images" / project.name / project.source)
    stderr_reporter().info(f"next: cd {shlex.quote(str(folder))} && {command_line('up dev')}")


def _name(folder: Path) -> str:
    from samovar.project.fields import NAME

    name = folder.absolute().name
    if not re.match(NAME, name):
        raise ConfigError(
            f"{name} cannot be the name of an image and a group",
            remedy="name the folder with up to 31 small letters, digits and hyphens, a letter first",
        )
    return name


def _project(name: str, app: str, command: str, port: int, health: str) -> NewProject:
    from samovar.project.application import Format, format_of
    from samovar.project.scaffold import NewProject

    if health and not health.startswith("/"):
        raise ConfigError(f"--health {health} is no path", remedy="write it as /healthz")
    words, path = tuple(shlex.split(command)), Path(app)
    if not path.exists():
        return NewProject(name, port, health, oci=_resolved(app), command=words)
    form = Format.TARBALL if path.is_dir() else format_of(path.name)
    if not words and form is not Format.FILE:
        raise ConfigError(f"{app} is not an executable itself", remedy=f"say what is run: --command /opt/{name}/...")
    targets = {Format.DEB: "", Format.TARBALL: f"/opt/{name}", Format.FILE: f"/opt/{name}/{path.name}"}
    return NewProject(name, port, health, source=path.name, target=targets[form], command=words)


def _resolved(app: str) -> str:
    from samovar.images.oci.fetch import resolve_tag

    if "/" not in app or app.startswith(("/", "./", "../")):
        raise ConfigError(
            f"{app} is not there", remedy="name a file or a folder, or an OCI image: registry.example.org/shop/api:1.2"
        )
    return resolve_tag(app)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy(source, target)
