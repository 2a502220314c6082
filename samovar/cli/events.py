"""The command `events`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.context import Tool, environment_argument, examples, identity_option, pass_tool
from samovar.core.output import Format, printable, to_plain

if TYPE_CHECKING:
    from samovar.ops.events import Event


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
@click.option(
    "-o",
    "--output",
    "fmt",
    type=click.Choice([Format.TABLE.value, Format.JSON.value]),
    default=Format.TABLE.value,
    show_default=True,
    help="Output format: plain lines, or a JSON object a line.",
)
@identity_option
@pass_tool
def events(tool: Tool, env: str, last: int, fmt: str, identity: Path | None, *, followed: bool) -> None:
    """Show what happens in ENV: to its groups, machines, balancers' targets, and rollouts. Times are UTC.

    The environment is read every two seconds, as `status` reads it, and what differs is an event. `cloud events` shows
    the calls of the local cloud's API instead.
    """
    from samovar.drills.breakage import Journal
    from samovar.ops.alerts import firing
    from samovar.ops.events import changes, history
    from samovar.ops.watch import follow

    environment, session = tool.open(env)
    broken, alerts = Journal(session.folder_id, env).in_words, firing(session, environment, identity)
    readings = follow(session, environment, broken=broken, firing=alerts)
    first = next(readings)
    for event in history(first, last):
        _show(event, fmt)
    if followed:
        for before, after in pairwise(chain((first,), readings)):
            for event in changes(before, after):
                _show(event, fmt)


def _show(event: Event, fmt: str) -> None:
    click.echo(json.dumps(to_plain(event), ensure_ascii=False) if fmt == Format.JSON else printable(_line(event)))


def _line(event: Event) -> str:
    time = datetime.fromtimestamp(event.time, UTC).strftime("%H:%M:%S.%f")[:-3]
    return f"{time}  {event.subject:<11}  {event.text}"
