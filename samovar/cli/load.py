"""`load`: asking an environment as its users do, and holding the answers against the terms."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from samovar.cli.context import Tool, environment_argument, output_option, pass_tool
from samovar.core.errors import ConfigError, ExitCode
from samovar.core.output import Format, show, stderr_reporter, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from samovar.cloud.session import Session
    from samovar.deploy.status import Status
    from samovar.load.generator import Load
    from samovar.load.report import Report
    from samovar.load.results import Figures
    from samovar.project.environment import Environment

PROFILES = ("peak", "stable", "terms")
HIGHEST_RATE = 500.0
MOST_REQUESTS = 500_000
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType):  # type: ignore[type-arg]  # at run time it takes none
    """Seconds, written as 60, 60s, 10m or 1h."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        if not (found := re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", value)) or not float(found[1]):
            self.fail(f"{value} is no duration: write 60s, 10m or 1h", param, ctx)
        return float(found[1]) * UNITS[found[2]]


@click.command()
@environment_argument
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default="peak",
    show_default=True,
    help="`peak` (120 a second) and `stable` (60) ask one page; `terms` asks every endpoint of the terms.",
)
@click.option("--rate", type=click.FloatRange(0.1, HIGHEST_RATE), help="Requests a second.  [default: the profile's]")
@click.option("--for", "seconds", type=Duration(), default="60s", show_default=True, help="How long.")
@click.option("--url", "urls", multiple=True, help="One of ENV's own addresses.  [default: all, in turn]")
@click.option("--http2", is_flag=True, help="Over HTTP/2, which is spoken over https alone.")
@click.option("--poisson", "seed", type=int, help="Requests come as users do, by a random sequence with this seed.")
@click.option(
    "--new", "fresh", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="The share of new connections."
)
@click.option("--insecure", is_flag=True, help="Take any certificate. Otherwise it has to be ENV's own, or a CA's.")
@click.option("--report", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write an HTML page there.")
@output_option
@pass_tool
def load(tool: Tool, /, env: str, folder: Path | None, fmt: Format, **asked: Any) -> int:
    """Put ENV under load, by the clock whatever it answers, and show whether it keeps its bounds."""
    from samovar.deploy.read_status import inspect
    from samovar.load.html_report import write_page

    tool.name_project()
    environment, session = tool.open(env)
    report = _send(environment, planned(session, environment, inspect(session, environment), **asked))
    if folder:
        stderr_reporter().info(f"report: {write_page(report, folder)}")
    show(report.to_json(), fmt, _tables(report))
    return ExitCode.OK if report.holds else ExitCode.SLO_VIOLATED


def planned(
    session: Session,
    environment: Environment,
    status: Status,
    *,
    profile: str,
    rate: float | None,
    seconds: float,
    urls: Sequence[str],
    insecure: bool,
    **how: Any,
) -> Load:
    """The load that was asked for. ConfigError for another's address, or more than is sensible."""
    from samovar.deploy.answers import with_answers
    from samovar.load import slo
    from samovar.load.generator import Load
    from samovar.load.target import own_addresses, path_of, targets

    found = own_addresses(with_answers(session, status), urls, secure_only=how.get("http2", False))
    wanted = slo.profile(profile, path_of(found))
    _bounded(rate or wanted.rate, seconds)
    to = targets(session, environment, found, insecure=insecure)
    return Load(wanted, to, rate or wanted.rate, seconds, **how)


def _bounded(rate: float, seconds: float) -> None:
    if rate * seconds > MOST_REQUESTS:
        raise ConfigError(
            f"{rate:g} requests a second for {seconds:g} s are more than {MOST_REQUESTS}",
            remedy="lower --rate, or shorten --for",
        )


def _send(environment: Environment, planned: Load) -> Report:
    from samovar.load.progress import send_and_tell
    from samovar.load.report import report

    said = stderr_reporter()
    with said.step(f"{planned.rate:g} requests a second to {environment.name} for {planned.seconds:g} s"):
        run = asyncio.run(send_and_tell(planned, said))
    found = report(environment.name, planned, run)
    for warning in found.warnings:
        said.info(f"warning: {warning}")
    return found


def _tables(report: Report) -> list[RenderableType]:
    columns = ("ENDPOINT", "SENT", "OK", "P50", "P90", "P99", "WORST", "BOUND", "HOLDS", "ERRORS")
    return [table(columns, map(_row, report.figures))]


def _row(found: Figures) -> tuple[str, ...]:
    return (
        found.endpoint.name,
        str(found.sent),
        str(found.sent - found.failed),
        *map(_ms, found.quantiles.values()),
        _ms(found.worst),
        _bound(found),
        "yes" if found.holds() else "no",
        ", ".join(f"{count} {why}" for why, count in found.errors.items()),
    )


def _bound(found: Figures) -> str:
    bound = found.endpoint.bound
    errors = f"errors {found.share:.2%} of {bound.errors:.0%}"
    if bound.quantile is None:
        return errors
    return f"p{bound.quantile * 100:g} {_ms(found.bounded)} of {_ms(bound.seconds)}, {errors}"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"
