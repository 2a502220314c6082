"""The command `metrics`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.context import Tool, pass_tool
from samovar.cli.options import Duration, environment_argument, examples, identity_option, output_option
from samovar.core.output import Format, show, stderr_reporter, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from samovar.ops.metrics import Metrics, Series
    from samovar.ops.statements import Statements


FRESH = 60.0
"""Seconds after which figures are shown with their age."""


@click.command(
    epilog=examples(
        "metrics dev", "metrics dev --since 1h", "metrics dev --statements", "metrics dev --query 'up == 0'"
    )
)
@environment_argument
@output_option
@click.option("--since", "seconds", type=Duration(), default="5m", show_default=True, help="How far to look back.")
@click.option("--statements", is_flag=True, help="Show the statements that PostgreSQL spent its time on instead.")
@click.option("--query", "expression", metavar="PROMQL", help="Show the series of this expression instead.")
@identity_option
@pass_tool
def metrics(
    tool: Tool,
    env: str,
    fmt: Format,
    seconds: float,
    expression: str | None,
    identity: Path | None,
    *,
    statements: bool,
) -> None:
    """Show requests, errors and latencies by endpoint of ENV, as its edges counted them.

    ENV needs a group that monitors it: `monitoring: {kind: samovar/monitoring}`. On Yandex Cloud the way to it is that
    of `ssh`.
    """
    from samovar.ops.metrics import age, endpoint_metrics, prometheus, query
    from samovar.ops.statements import top_statements

    environment, session = tool.open(env)
    server = prometheus(session, environment, identity)
    if expression is not None:
        series = query(server, expression)
        show(series, fmt, [_series_table(series)])
        return
    if statements:
        top = top_statements(server, env, seconds)
        show(top, fmt, [_statement_table(top)])
        return
    answer = endpoint_metrics(server, env, seconds)
    show(answer, fmt, [_endpoint_table(answer)])
    if (old := age(server, seconds)) and old > FRESH:
        stderr_reporter().info(f"these figures are {old:.0f} s old: no edge has shown its requests since then")


def _endpoint_table(answer: Metrics) -> RenderableType:
    rows = [
        (
            each.method,
            each.route,
            str(each.requests),
            f"{each.requests_per_second:.2f}",
            str(each.errors),
            *map(_milliseconds, (each.p50, each.p90, each.p99)),
        )
        for each in answer.endpoints
    ]
    return table(("METHOD", "ROUTE", "REQUESTS", "PER SECOND", "ERRORS", "P50 MS", "P90 MS", "P99 MS"), rows)


def _statement_table(answer: Statements) -> RenderableType:
    rows = [
        (
            each.machine,
            each.database,
            each.user,
            str(each.calls),
            f"{each.seconds:.2f}",
            _milliseconds(each.mean),
            str(each.rows),
            each.query,
        )
        for each in answer.statements
    ]
    return table(("MACHINE", "DATABASE", "USER", "CALLS", "SECONDS", "MEAN MS", "ROWS", "STATEMENT"), rows)


def _series_table(series: Sequence[Series]) -> RenderableType:
    rows = [(_labels(each), "" if each.value is None else f"{each.value:g}") for each in series]
    return table(("SERIES", "VALUE"), rows)


def _labels(series: Series) -> str:
    labels = dict(series.labels)
    name = labels.pop("__name__", "")
    return name + "{" + ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items())) + "}"


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.1f}"
