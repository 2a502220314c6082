"""The commands about calls of the local cloud's API: they show calls as they come, and refuse, delay or lose them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.context import Tool, pass_tool
from samovar.cli.options import Duration, examples, output_option, stream_output_option
from samovar.core.api_methods import is_read
from samovar.core.output import Format, clock_time, printable, show, stderr_reporter, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from samovar.cloud.local_admin import Event, Fault

PREFIX = "yandex.cloud."
CODES = (
    "ABORTED",
    "ALREADY_EXISTS",
    "DEADLINE_EXCEEDED",
    "FAILED_PRECONDITION",
    "INTERNAL",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNAUTHENTICATED",
    "UNAVAILABLE",
    "UNKNOWN",
)


@click.group()
def fault() -> None:
    """Let calls of the API fail or take long, on request: throttling, conflicts, lost answers, no capacity."""


@fault.command(
    epilog=examples(
        "cloud fault add --method 'InstanceService/Create' --code UNAVAILABLE --times 3",
        "cloud fault add --method '*/Get' --code RESOURCE_EXHAUSTED --share 0.1",
        "cloud fault add --method 'SubnetService/Delete' --code FAILED_PRECONDITION --message 'Subnet is in use'",
        "cloud fault add --method 'DiskService/Create' --code INTERNAL --effect operation",
        "cloud fault add --method 'NetworkService/Create' --code UNAVAILABLE --effect answer --times 1",
        "cloud fault add --method 'OperationService/Get' --delay 5s",
        "cloud fault add --no-capacity ru-central1-b",
    )
)
@click.option("--method", metavar="PATTERN", help="Methods: a name or a pattern, such as 'InstanceService/*', '*/Get'.")
@click.option("--code", type=click.Choice(CODES), help="gRPC code of the error.")
@click.option("--message", default="", help="Message of the error.", show_default="one that fits the code")
@click.option(
    "--delay", type=Duration(zero=True), default="0s", show_default=True, help="Wait before the answer: 500ms, 5s, 2m."
)
@click.option(
    "--effect",
    type=click.Choice(["call", "operation", "answer"]),
    default="call",
    show_default=True,
    help="What fails: the call; or its operation, after the call was accepted, while nothing is done; or the answer "
    "alone, after the call was carried out.",
)
@click.option("--times", type=click.IntRange(min=1), help="Strike so many calls.", show_default="until cleared")
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Strike this part of the calls, by chance.",
)
@click.option("--zone", default="", help="Strike only calls whose request names this zone.")
@click.option("--no-capacity", metavar="ZONE", help="In place of --method: machines of this zone do not start.")
@pass_tool
def add(tool: Tool, /, method: str | None, no_capacity: str | None, **given: str | float | None) -> None:
    """Add a fault: calls of a pattern fail, take longer, or both.

    The oldest fault that applies to a call strikes it. A request that the API would refuse anyway is refused as ever.
    """
    if bool(method) == bool(no_capacity):
        raise click.UsageError("give either --method or --no-capacity")
    if method and not (given["code"] or given["delay"]):
        raise click.UsageError("give --code, --delay, or both")
    given["code"] = given["code"] or ""
    if no_capacity:
        given |= {"effect": "start", "zone": no_capacity}
    added = tool.host().add_fault(method=method or "*", **given)
    stderr_reporter().info(f"fault {added.id}: {_what(added)}")


@fault.command("list")
@output_option
@pass_tool
def list_faults(tool: Tool, fmt: Format) -> None:
    """List the faults, in the order in which they apply."""
    faults = tool.host().faults()
    show(faults, fmt, _shown(faults))


@fault.command(epilog=examples("cloud fault clear", "cloud fault clear flt1a2b3c4d5e6f7g8h9"))
@click.argument("fault_id", metavar="[ID]", required=False, default="")
@pass_tool
def clear(tool: Tool, fault_id: str) -> None:
    """End one fault, or all of them."""
    for removed in tool.host().clear_faults(fault_id):
        stderr_reporter().info(f"fault {removed.id} ended, after {removed.struck} strikes: {_what(removed)}")


def _shown(faults: Iterable[Fault]) -> list[RenderableType]:
    rows = [
        (each.id, _what(each), f"{each.struck} of {each.times}" if each.times else str(each.struck)) for each in faults
    ]
    return [table(("ID", "FAULT", "STRUCK"), rows)]


def _what(fault: Fault) -> str:
    """Return a fault in words."""
    if fault.effect == "start":
        return f"no machine starts in {fault.zone}{_share(fault)}"
    outcome = [f"{fault.code} for the {fault.effect}"] if fault.code else []
    outcome += [f"after {fault.delay:g} s"] if fault.delay else []
    where = f" in {fault.zone}" if fault.zone else ""
    return f"{fault.method}{where}: {' '.join(outcome)}{_share(fault)}"


def _share(fault: Fault) -> str:
    return f", a share of {fault.share:g}" if fault.share < 1 else ""


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
        if (reads or not is_read(event["method"])) and not (failed and event["code"] == "OK"):
            click.echo(json.dumps(event) if fmt == Format.JSON else printable(_line(event)))


def _line(event: Event) -> str:
    service, _, method = event["method"].removeprefix(PREFIX).rpartition(".")
    name = f"{service.rpartition('.')[2]}/{method}"
    line = f"{clock_time(event['time'])}  {event['code']:<19} {event['subject']:<20}  {name:<44} {event['request_id']}"
    return f"{line}  {event['message']}" if event["message"] else line
