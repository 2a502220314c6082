"""The command `init`: a project of one's own, from an application."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import rich_click as click

from samovar.cli.application import (
    DATABASE_OPTION,
    ApplicationOptions,
    application_options,
    copy_application,
    database_group_name,
    group_name,
    new_application,
    write_files,
)
from samovar.cli.options import examples
from samovar.cli.refusal import Arguments, refusal
from samovar.core.errors import ConfigError, command_line
from samovar.core.output import stderr_reporter

if TYPE_CHECKING:
    from samovar.project.scaffold import NewApplication


@click.command(
    epilog=examples(
        "init shop --app ./api --port 8080 --health /healthz --database",
        "init shop --app ./api.tar.gz --command '/opt/shop/bin/api --port 8080' --port 8080",
        "init shop --app registry.example.org/shop/api:1.2 --port 8080 --health /healthz",
        "init shop --app https://example.org/api-1.2.tar.gz --sha256 HEX --command /opt/shop/api --port 8080",
    )
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--env", default="dev", show_default=True, help="The name of its environment.")
@application_options
def init(folder: Path, *, env: str, **options: Unpack[ApplicationOptions]) -> None:
    """Make a project in FOLDER that runs APP on machines that heal themselves, behind a balancer.

    FOLDER must not exist, or be empty. Its name becomes that of the project's image and group.
    """
    from samovar.project.scaffold import new_database, project_files

    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty", remedy="give another FOLDER: one that does not exist yet")
    name = group_name(folder.absolute().name, "FOLDER")
    group_name(env, "--env", "an environment")
    application = new_application(name, options)
    if options["database"] is not None:
        application = replace(application, database=new_database(database_group_name(options["database"], name), name))
    _write_project(folder.absolute(), project_files(application, env), application, options["app"] or "", env)
    click.echo("\n".join(str(file) for file in sorted(folder.rglob("*")) if file.is_file()))
    stderr_reporter().info(f"next: cd {shlex.quote(str(folder))} && {command_line(f'up {env}', folder)}")


def _write_project(folder: Path, files: Mapping[str, str], application: NewApplication, app: str, env: str) -> None:
    """Write the project. Raises ConfigError, and writes nothing, where its environment cannot be planned."""
    from samovar.deploy.rollout import load_desired
    from samovar.project.environment import load_environment
    from samovar.project.project import Project

    existed = folder.exists()
    try:
        write_files(folder, files)
        copy_application(application, app, folder)
        load_desired(load_environment(env, Project(folder, folder / "envs")))
    except BaseException as error:  # also Ctrl-C
        for path in folder.glob("*") if existed else (folder,):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        if isinstance(error, ConfigError):
            database = {application.database.group: DATABASE_OPTION} if application.database else {}
            arguments = Arguments({application.name: "FOLDER", **database}, "FOLDER")
            raise refusal(error, arguments, folder / "images" / application.name) from error
        raise
