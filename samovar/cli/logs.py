"""The command `logs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.context import Tool, pass_tool
from samovar.cli.options import Duration, environment_argument, examples, identity_option
from samovar.core.errors import ConfigError, command_line
from samovar.core.output import printable, stderr_reporter

if TYPE_CHECKING:
    from samovar.cloud.session import Session
    from samovar.project.environment import Environment

COLLECT = "add `monitoring: {kind: samovar/monitoring}` to groups, which collects them"


@click.command(
    epilog=examples("logs dev --follow", "logs dev nginx --unit haproxy --since 10m", "logs dev nginx-1 --console")
)
@environment_argument
@click.argument("name", metavar="[GROUP|MACHINE]", required=False)
@click.option("--unit", help="Only what this systemd unit wrote.")
@click.option("--follow", is_flag=True, help="Also show what comes, until Ctrl-C.")
@click.option("--since", type=Duration(), default="1h", show_default=True, help="How far to look back.")
@click.option(
    "--console", is_flag=True, help="Show the serial console of MACHINE instead, as far as the cloud keeps it."
)
@identity_option
@pass_tool
def logs(
    tool: Tool,
    env: str,
    name: str | None,
    unit: str | None,
    since: float,
    identity: Path | None,
    *,
    follow: bool,
    console: bool,
) -> None:
    """Show the journals of ENV, of one group or of one machine (nginx-1, or dev-nginx-1), without escape sequences.

    The group that monitors ENV collects them. In an ENV without one there are the serial consoles alone.
    """
    from samovar.ops.journals import Selection, entries, journal, machines_named

    environment = tool.environment(env)
    if console or environment.monitoring is None:
        machine = _one_machine(environment, name, console=console)
        _show_console(tool.session_of(environment), environment, machine)
        if unit or follow:
            stderr_reporter().info("--unit and --follow are for journals: a serial console is shown as it is now")
        if not console:
            stderr_reporter().info(f"this is the serial console; what applications print is in the journals: {COLLECT}")
        return
    selection = Selection(machines_named(environment, name), unit, since, follow)
    session = tool.session_of(environment)
    shown = False
    for entry in entries(journal(session, environment, identity), selection):
        shown = True
        click.echo(printable(str(entry)))
    if not shown:
        stderr_reporter().info(_nothing(env))


def _nothing(env: str) -> str:
    alerts = command_line(f"metrics {env} --query ALERTS")
    console = command_line(f"logs {env} MACHINE --console")
    return f"no entries; if there should be some, see whether JournalNotSent fires by `{alerts}`, and `{console}`"


def _one_machine(environment: Environment, name: str | None, *, console: bool) -> str:
    """Return the name of a machine. Raises ConfigError for a group, or for all: each machine has its own console."""
    group = (name or "").removeprefix(f"{environment.name}-")
    if name is not None and group not in environment.group_by_name:
        return name
    machine = f"name a machine, such as {group or environment.groups[0].name}-1, to see its console"
    whose = f"the journals of group {group} are nowhere together" if group else "the journals are nowhere together"
    if console:
        raise ConfigError("each machine has a console of its own", remedy=machine)
    raise ConfigError(
        f"{environment.name} has no group that collects journals: {whose}", remedy=f"{machine}; or {COLLECT}"
    )


def _show_console(session: Session, environment: Environment, machine: str) -> None:
    from samovar.deploy.console import read_console
    from samovar.deploy.machines import find_machine

    instance = find_machine(session, environment.name, machine)
    click.echo(printable(read_console(session, instance.id)), nl=False)
