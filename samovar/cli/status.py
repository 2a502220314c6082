"""The command `status`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.context import Tool, pass_tool
from samovar.cli.options import environment_argument, output_option
from samovar.core.errors import ExitCode
from samovar.core.output import Format, show, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from samovar.cloud.session import Session
    from samovar.deploy.status import Status
    from samovar.project.environment import Environment

INTERVAL = 1.0
"""Seconds between two updates of --watch."""


@click.command()
@environment_argument
@output_option
@click.option("--watch", is_flag=True, help="Update every second and show changes, until Ctrl-C.")
@click.option("--exit-code", is_flag=True, help=f"Exit with {ExitCode.UNHEALTHY:d} unless everything is healthy.")
@pass_tool
def status(tool: Tool, env: str, fmt: Format, *, watch: bool, exit_code: bool) -> int:
    """Show the groups and machines of ENV, their health, and the addresses that answer."""
    environment, session = tool.open(env)
    current = read_and_check(session, environment)
    _show(current, fmt)
    if watch:
        _watch(session, environment, current, fmt)
    return ExitCode.UNHEALTHY if exit_code and not current.healthy else ExitCode.OK


def read_and_check(session: Session, environment: Environment) -> Status:
    """Return the status of an environment, with those of its addresses that do not answer."""
    from samovar.deploy.endpoints import check_endpoints
    from samovar.deploy.read_status import read_status_and_record

    return check_endpoints(session, read_status_and_record(session, environment))


def _watch(session: Session, environment: Environment, last: Status, fmt: Format) -> None:
    while True:
        time.sleep(INTERVAL)
        current = read_and_check(session, environment)
        if current != last:
            click.echo()
            _show(current, fmt)
        last = current


def _show(status: Status, fmt: Format) -> None:
    show(status, fmt, _status_tables(status))


def _status_tables(status: Status) -> list[RenderableType]:
    from rich.text import Text

    groups = [
        (group.name, str(group.size), "yes" if group.healthy else "no", group.image or "not rolled out")
        for group in status.groups
    ]
    machines = [
        (m.name, m.zone, m.address, m.status, m.balancer or "", m.image, str(m.pid or "")) for m in status.machines
    ]
    tables: list[RenderableType] = [table(("GROUP", "SIZE", "HEALTHY", "IMAGE"), groups)]
    if machines:
        tables.append(table(("MACHINE", "ZONE", "ADDRESS", "STATUS", "BALANCER", "IMAGE", "PID"), machines))
    tables += [Text(f"{m.name}: {m.message}") for m in status.machines if m.message]
    tables += [Text(f"warning: {text}") for text in status.warnings]
    if status.endpoints.all:
        tables.append(table(("ADDRESS",), [(url,) for url in status.endpoints.all]))
    tables += [Text(f"{each.url} {each.reason}") for each in status.unanswered]
    if status.simulated:
        tables.append(Text("the machines are simulated: nothing runs, and no address answers"))
    return tables
