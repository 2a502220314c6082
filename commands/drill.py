"""`drill`: breaking an environment on purpose, and measuring how it mends itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rich_click as click

from commands.tool import Tool, agree, environment_argument, output_option, pass_tool, yes_option
from kit.output import Format, show, table, talk

if TYPE_CHECKING:
    from rich.console import RenderableType

RATE = 50.0
TIMEOUT = 120.0


@click.group()
@environment_argument
def drill(env: str) -> None:
    """Break ENV on purpose, under load, and measure how it mends itself."""


@drill.command()
@click.argument("group")
@click.option("--rate", default=RATE, show_default=True, help="Requests a second meanwhile.")
@click.option("--timeout", default=TIMEOUT, show_default=True, help="Seconds in which ENV must be whole again.")
@click.option("--url", help="What is asked, at one of ENV's own addresses.  [default: the first of them]")
@yes_option
@output_option
@click.pass_context
@pass_tool
def kill(
    tool: Tool,
    context: click.Context,
    group: str,
    rate: float,
    timeout: float,
    url: str | None,
    fmt: Format,
    *,
    yes: bool,
) -> None:
    """Cut the power of a machine of GROUP: how long until ENV is whole, and how many requests fail meanwhile."""
    from drills.kill import kill as kill_machine

    assert context.parent  # noqa: S101 - it is a command of the group above
    env: str = context.parent.params["env"]
    environment, session = tool.open(env)
    agree(f"Kill a machine of {group} in {env}?", yes=yes)
    report = kill_machine(session, environment, group, talk(), rate=rate, timeout=timeout, url=url)
    show(report.to_json(), fmt, _tables(report.to_json()))


def _tables(found: dict[str, Any]) -> list[RenderableType]:
    failures = ", ".join(f"{count} {name}" for name, count in found["failures"].items())
    rows = [
        ("machine", found["machine"]),
        ("noticed after", f"{found['seconds_until_noticed']} s"),
        ("whole after", f"{found['seconds_until_whole']} s"),
        ("requests", f"{found['requests']} at {found['rate']:g} a second to {found['url']}"),
        ("failed", f"{found['failed']}{f' ({failures})' if failures else ''}"),
        ("slowest answer", f"{found['worst_seconds']} s"),
    ]
    return [table(("", ""), rows)]
