"""The command that shows the calls of the local cloud's API as they come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.context import Tool, examples, pass_tool, stream_output_option
from samovar.core.output import Format, clock_time, printable

if TYPE_CHECKING:
    from samovar.cloud.local_admin import Event

PREFIX = "yandex.cloud."
READING = ("Get", "List")


@click.command(
    epilog=examples(
        "cloud events --last 100", "cloud events --follow --reads", "cloud events --follow --failed -o json"
    )
)
@click.option("--follow", "-f", is_flag=True, help="Go on with each call as it comes, until Ctrl-C.")
@click.option(
    "--last",
    type=click.IntRange(0, 100_000),
    default=20,
    show_default=True,
    help="Calls of the record to begin with. It holds those that change something.",
)
@click.option("--reads", is_flag=True, help="With --follow: also Get and List, and the polls of operations.")
@click.option("--failed", is_flag=True, help="Only calls that were refused.")
@stream_output_option
@pass_tool
def events(tool: Tool, last: int, fmt: str, *, follow: bool, reads: bool, failed: bool) -> None:
    """Show the calls of the API: time (UTC), outcome, caller, method, request id.

    The request id is what the answer carries as `x-request-id`; the Go SDK shows it with an error.
    """
    for event in tool.host().events(last=last, follow=follow):
        read = event["method"].rpartition(".")[2].startswith(READING)
        if (reads or not read) and not (failed and event["code"] == "OK"):
            click.echo(json.dumps(event) if fmt == Format.JSON else printable(_line(event)))


def _line(event: Event) -> str:
    service, _, method = event["method"].removeprefix(PREFIX).rpartition(".")
    name = f"{service.rpartition('.')[2]}/{method}"
    line = f"{clock_time(event['time'])}  {event['code']:<19} {event['subject']:<20}  {name:<44} {event['request_id']}"
    return f"{line}  {event['message']}" if event["message"] else line
