"""The command `add`: one more group for an environment."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
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
from samovar.cli.context import Tool, pass_tool
from samovar.cli.options import complete_environment, examples
from samovar.cli.refusal import Arguments, refusal
from samovar.core.errors import ConfigError, command_line
from samovar.core.output import stderr_reporter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from samovar.project.environment import Environment
    from samovar.project.group import Group
    from samovar.project.project import Project
    from samovar.project.scaffold import Database, NewApplication


OPTIONS = {
    "postgres": (),
    "edge": ("upstream",),
    "app": ("app", "sha256", "command", "port", "health", "database"),
    "worker": ("app", "sha256", "command", "database"),
}
"""The options of each kind."""


@dataclass(frozen=True)
class Addition:
    """A group to be added: its lines, the secrets that it needs by their kinds, and the application of its image.

    `arguments` name it, and the database that is added with it.
    """

    lines: str
    arguments: Arguments
    secrets: Mapping[str, str] = field(default_factory=dict)
    application: NewApplication | None = None
    hint: str = ""


@click.command(
    epilog=examples(
        "add database --kind postgres",
        "add api --kind app --app ./api --port 8080 --health /healthz",
        "add api --kind app --app ./api --port 8080 --database database",
        "add front --kind edge --upstream api --env prod",
    )
)
@click.argument("group")
@click.option("--kind", type=click.Choice([*OPTIONS]), required=True, help="What it does.")
@click.option(
    "--env",
    default="dev",
    show_default=True,
    shell_complete=complete_environment,
    help="The environment that it is added to.",
)
@click.option("--upstream", metavar="GROUP", help="The group to which an edge passes requests.")
@application_options
@pass_tool
def add(
    tool: Tool, /, group: str, kind: str, env: str, upstream: str | None, **options: Unpack[ApplicationOptions]
) -> None:
    """Add GROUP to an environment: lines at the end of its `groups`, and for an app or a worker an image.

    The rest of the file stays as it is. Nothing is written unless the result can be planned.
    """
    for name, value in {"upstream": upstream, **options}.items():
        if value is not None and name not in OPTIONS[kind]:
            raise click.UsageError(f"--{name} is not for --kind {kind}.")
    tool.name_project()
    environment = tool.environment(env)
    _check_name(environment, group_name(group, "GROUP"), "GROUP")
    match kind:
        case "postgres":
            addition = _postgres(group)
        case "edge":
            addition = _edge(environment, group, upstream)
        case _:
            addition = _application(environment, group, options, worker=kind == "worker")
    _write(environment, addition, options["app"] or "")


def _check_name(environment: Environment, group: str, argument: str) -> None:
    if group in environment.group_by_name or group in environment.external:
        raise ConfigError(f"{environment.name} has a group or a server {group}", remedy=f"give another {argument}")


def _postgres(group: str) -> Addition:
    from samovar.project.scaffold import database_group, new_database

    database = new_database(group, group)
    binding = f"upstreams: {{database: {group}}}, secrets: {{database_password: {database.secret}}}"
    arguments = Arguments({group: "GROUP"}, "GROUP")
    return Addition(database_group(database), arguments, database.secrets, hint=f"a group that asks it has {binding}")


def _edge(environment: Environment, group: str, upstream: str | None) -> Addition:
    from samovar.project.environment_options import SecretKind
    from samovar.project.scaffold import NewEdge, edge_group

    if upstream is None:
        raise click.UsageError("Missing option '--upstream'.")
    if upstream not in environment.group_by_name:
        groups = ", ".join(environment.group_by_name)
        raise ConfigError(f"{environment.name} has no group {upstream}", remedy=f"give another --upstream: {groups}")
    behind = environment.group(upstream)
    hint = f"{upstream} is also asked past {group}, at an address of its own, until its line balancer: is removed"
    edge = NewEdge(group, upstream, _fallback_port(behind))
    certificate = SecretKind.CERTIFICATE.value
    arguments = Arguments({group: "GROUP"}, "--upstream")
    return Addition(edge_group(edge), arguments, {certificate: certificate}, hint=hint if _is_public(behind) else "")


def _fallback_port(upstream: Group) -> int:
    """Return the port of its machines that an edge may ask past their balancer; 0 where there is none."""
    targets = upstream.balancer.listeners.values() if upstream.balancer and _is_public(upstream) else ()
    return next(iter((*upstream.ports, *sorted(listener.target for listener in targets))), 0)


def _is_public(group: Group) -> bool:
    from samovar.project.balancer import BalancerType

    return group.balancer is not None and group.balancer.type is BalancerType.EXTERNAL


def _application(environment: Environment, group: str, options: ApplicationOptions, *, worker: bool) -> Addition:
    from samovar.project.group_problems import MACHINES_A_ZONE
    from samovar.project.scaffold import app_group, database_group

    public = not any(map(_is_public, environment.groups))
    size = MACHINES_A_ZONE * (1 if public else len(environment.zones))
    application = replace(new_application(group, options, worker=worker), public=public, size=size)
    hint = "" if public or worker else f"{group} is asked by groups that name it in `upstreams`, and not by the world"
    new = None
    if options["database"] is not None:
        database, new = _database(environment, database_group_name(options["database"], group))
        application = replace(application, database=database)
    lines = database_group(new) if new else ""
    arguments = Arguments({group: "GROUP", **({new.group: DATABASE_OPTION} if new else {})}, DATABASE_OPTION)
    return Addition(lines + app_group(application), arguments, new.secrets if new else {}, application, hint)


def _database(environment: Environment, name: str) -> tuple[Database, Database | None]:
    """Return the first database of a group, and once more where the group has to be added. Raises ConfigError."""
    from samovar.project.scaffold import find_database, new_database

    group = environment.group_by_name.get(name)
    if group is None:
        _check_name(environment, name, DATABASE_OPTION)
        new = new_database(name, name)
        return new, new
    database = find_database(group)
    if database is None:
        raise ConfigError(f"{name} has no database in its settings", remedy=f"give another {DATABASE_OPTION}")
    return database, None


def _write(environment: Environment, addition: Addition, app: str) -> None:
    """Write the image, then the environment. Raises ConfigError where that cannot be planned, with nothing written."""
    from samovar.core.files import write_atomic
    from samovar.project.config_edit import with_group, with_secrets
    from samovar.project.environment import FILE
    from samovar.project.scaffold import image_files

    project, application = environment.project, addition.application
    file = project.envs / environment.name / FILE
    text = with_group(with_secrets(file.read_text(), addition.secrets), addition.lines)
    image = project.images / application.name if application else None
    if image and image.exists():
        raise ConfigError(f"{image} is there already", remedy="give another GROUP")
    try:
        if application:
            write_files(project.folder, image_files(application))
            copy_application(application, app, project.folder)
        _check(project, environment.name, text, addition.arguments, image)
        write_atomic(file, text, mode=file.stat().st_mode & 0o777, durable=False)
    except BaseException:  # also Ctrl-C
        if image:
            shutil.rmtree(image, ignore_errors=True)
        raise
    click.echo("\n".join(map(str, filter(None, (image, file)))))
    for line in filter(None, (addition.hint, f"next: {command_line(f'up {environment.name}')}")):
        stderr_reporter().info(line)


def _check(project: Project, name: str, text: str, arguments: Arguments, image: Path | None) -> None:
    """Raise ConfigError where an environment with this text could not be planned."""
    from samovar.deploy.rollout import load_desired
    from samovar.project.environment import FILE, load_environment

    with TemporaryDirectory() as folder:
        file = Path(folder) / name / FILE
        file.parent.mkdir()
        file.write_text(text)
        try:
            load_desired(load_environment(name, replace(project, envs=Path(folder))))
        except ConfigError as error:
            refused = refusal(error, arguments, image)
            message = refused.message.replace(folder, str(project.envs))
            raise ConfigError(message, remedy=refused.remedy) from error
