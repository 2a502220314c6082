"""The command `events`."""

from __future__ import annotations

from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.context import Tool, pass_tool
from samovar.cli.options import environment_argument, examples, identity_option, stream_output_option
from samovar.core.output import Format, clock_time, printable, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from samovar.cloud.session import Session
    from samovar.ops.events import Event, Reading
    from samovar.project.environment import Environment


@click.command(epilog=examples("events dev", "events dev --follow", "events dev --follow -o json"))
@environment_argument
@click.option("--follow", "-f", "followed", is_flag=True, help="Go on with each event as it comes, until Ctrl-C.")
@click.option(
    "--last",
    type=click.IntRange(0, 1000),
    default=20,
    show_default=True,
    help="Records of the groups' logs to begin with; the cloud keeps these, and nothing else of the past.",
)
@stream_output_option
@identity_option
@pass_tool
def events(tool: Tool, env: str, last: int, fmt: str, identity: Path | None, *, followed: bool) -> None:
    """Show what happens in ENV: to its groups, machines, balancers' targets, and rollouts. Times are UTC.

    The environment is read every two seconds, as `status` reads it, and what differs is an event. `cloud events` shows
    the calls of the local cloud's API instead.
    """
    from samovar.ops.events import changes, history

    environment, session = tool.open(env)
    readings = follow_environment(session, environment, identity)
    first = next(readings)
    for event in history(first, last):
        _show(event, fmt)
    if followed:
        for before, after in pairwise(chain((first,), readings)):
            for event in changes(before, after):
                _show(event, fmt)


def follow_environment(session: Session, environment: Environment, identity: Path | None) -> Iterator[Reading]:
    """Yield readings of the environment for ever, with what drills broke and the alerts that fire."""
    from samovar.drills.journal import Journal
    from samovar.ops.alerts import firing
    from samovar.ops.watch import follow

    broken = Journal(session.folder_id, environment.name).in_words
    return follow(session, environment, broken=broken, firing=firing(session, environment, identity))


def _show(event: Event, fmt: str) -> None:
    click.echo(to_json(event) if fmt == Format.JSON else printable(_line(event)))


def _line(event: Event) -> str:
    return f"{clock_time(event.time)}  {event.subject:<11}  {event.text}"
