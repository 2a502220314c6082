"""The command `dashboard`."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from samovar.cli.context import Tool, pass_tool
from samovar.cli.events import follow_environment
from samovar.cli.options import environment_argument, identity_option
from samovar.core.output import stderr_reporter

MEASURED_EVERY = 10.0
"""Seconds between two looks at the metrics."""


@click.command()
@environment_argument
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default="a free one", help="The port of the page."
)
@identity_option
@pass_tool
def dashboard(tool: Tool, env: str, port: int, identity: Path | None) -> None:
    """Serve a page that shows ENV as it is and what happens in it, until Ctrl-C; print its address.

    Graphs by endpoint and alerts need a group that monitors ENV.

    The page is read-only and answers on this host's loopback alone. Whoever has the address may look.
    """
    import asyncio

    from samovar.dashboard.feed import Feed
    from samovar.dashboard.panels import graphs_reader
    from samovar.dashboard.server import serve

    environment, session = tool.open(env)
    readings = follow_environment(session, environment, identity)
    feed = Feed(environment, readings, graphs_reader(session, environment, identity))
    asyncio.run(serve(env, feed, port, MEASURED_EVERY, _opened))


def _opened(url: str) -> None:
    click.echo(url)
    stderr_reporter().info("open it in a browser; Ctrl-C ends it")
