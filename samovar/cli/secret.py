"""The commands of secrets: list them, give them a value, make passwords anew."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.context import Tool, pass_tool
from samovar.cli.options import environment_argument, examples, output_option
from samovar.core.errors import ConfigError, command_line
from samovar.core.output import Format, date_time, show, stderr_reporter, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from samovar.deploy.secrets import SecretStatus


@click.group()
def secret() -> None:
    """Manage what machines may read from Lockbox: API keys, certificates, passwords."""


@secret.command("list")
@environment_argument
@output_option
@pass_tool
def list_secrets(tool: Tool, env: str, fmt: Format) -> None:
    """Show the secrets of ENV, their versions, and the groups to which its file gives them, never what they hold.

    Where the cloud does not let such a group read one, `plan` shows it.
    """
    from samovar.deploy.secrets import secret_statuses

    environment, session = tool.open(env)
    secrets = secret_statuses(session, environment)
    show(secrets, fmt, [_table(secrets)])


@secret.command(
    "set",
    epilog=examples(
        "secret set dev api_key < key.txt", "secret set dev certificate --entry cert=cert.pem --entry key=key.pem"
    ),
)
@environment_argument
@click.argument("name")
@click.option(
    "--entry",
    "entries",
    multiple=True,
    metavar="KEY=FILE",
    help="An entry of a secret that has several, as FILE holds it. Can be given again.",
)
@pass_tool
def set_secret(tool: Tool, env: str, name: str, entries: tuple[str, ...]) -> None:
    """Give the secret NAME of ENV a value: from stdin, or its entries from files.

    Of what is read from stdin, the line break at the end is left out. Machines take the new value without a reboot,
    within some minutes; what has to restart for it restarts.
    """
    from samovar.deploy.lock import locked
    from samovar.deploy.secrets import ONE_ENTRY, set_value

    values = dict(map(_entry, entries)) or {ONE_ENTRY: _from_stdin(env, name)}
    tool.name_project()
    environment, session = tool.open(env)
    with locked(session, env):
        session.finish(set_value(session, environment, name, values), what=f"secret {name} of {env}")
    stderr_reporter().info(f"secret {name} of {env}: new version")


@secret.command(epilog=examples("secret rotate dev postgres_password"))
@environment_argument
@click.argument("name")
@pass_tool
def rotate(tool: Tool, env: str, name: str) -> None:
    """Have Lockbox make up the password NAME of ENV anew. Machines take it without a reboot.

    Each takes it within some five minutes, at a time of its own. Until the last one has it, a machine with the new
    password and one with the former one do not let each other in.
    """
    from samovar.deploy.lock import locked
    from samovar.deploy.secrets import rotate as make_anew

    tool.name_project()
    environment, session = tool.open(env)
    with locked(session, env):
        session.finish(make_anew(session, environment, name), what=f"password {name} of {env}")
    stderr_reporter().info(f"secret {name} of {env}: new version")


def _entry(text: str) -> tuple[str, bytes]:
    key, _, path = text.partition("=")
    if not key or not path:
        raise click.BadParameter(f"{text!r} is not KEY=FILE", param_hint="--entry")
    try:
        return key, Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", remedy="name a file that can be read") from error


def _from_stdin(env: str, name: str) -> bytes:
    if sys.stdin.isatty():
        remedy = f"{command_line(f'secret set {env} {name}')} < FILE"
        raise ConfigError("a secret is not typed: it would stand in the terminal's memory", remedy=remedy)
    return sys.stdin.buffer.read().removesuffix(b"\n").removesuffix(b"\r")


def _table(secrets: tuple[SecretStatus, ...]) -> RenderableType:
    return table(
        ("SECRET", "TYPE", "VERSION", "CREATED (UTC)", "ENTRIES", "GROUPS"),
        (
            (
                each.name,
                each.type,
                each.version or "no value yet",
                date_time(each.created),
                ", ".join(each.entries),
                ", ".join(each.groups),
            )
            for each in secrets
        ),
    )
