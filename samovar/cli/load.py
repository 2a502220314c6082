"""The command `load`: it sends requests as users do and checks the answers against the objectives of a profile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict, Unpack

import rich_click as click

from samovar.cli.context import Tool, pass_tool
from samovar.cli.options import Duration, environment_argument, output_option
from samovar.core.constants import MAX_RATE
from samovar.core.errors import ConfigError, ExitCode
from samovar.core.output import Format, show, stderr_reporter, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from samovar.cloud.session import Session
    from samovar.deploy.status import Status
    from samovar.load.generator import Load, Run
    from samovar.load.report import LoadReport
    from samovar.load.results import Figures
    from samovar.project.environment import Environment
    from samovar.project.load_profile import LoadProfile

MAX_REQUESTS = 500_000


class LoadOptions(TypedDict):
    """The load as the command line states it; what is not given is the load's own."""

    rate: float | None
    seconds: float
    urls: Sequence[str]
    insecure: bool
    http2: NotRequired[bool]
    seed: NotRequired[int | None]
    fresh: NotRequired[float]


class ProfileName(click.ParamType):  # type: ignore[type-arg]  # at run time it takes none
    """The name of a load profile, a file of loads/ of the project or the library."""

    name = "profile"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        tool = ctx.find_object(Tool) if ctx else None
        if tool is None:
            return str(value)
        from samovar.project.load_profile import profile_names

        names = profile_names(tool.project.loads)
        if value not in names:
            self.fail(f"{value} is no load profile; there are {', '.join(names)}", param, ctx)
        return str(value)


@click.command()
@environment_argument
@click.option(
    "--profile",
    type=ProfileName(),
    default="peak",
    show_default=True,
    help="A load profile: a file of loads/, or `peak` or `stable` of the library.",
)
@click.option("--rate", type=click.FloatRange(0.1, MAX_RATE), help="Requests a second.  [default: the profile's]")
@click.option("--for", "seconds", type=Duration(), default="60s", show_default=True, help="How long.")
@click.option(
    "--url",
    "urls",
    multiple=True,
    help="One of ENV's own addresses; `peak` and `stable` ask the path in it. Can be given again.  "
    "[default: all, in turn]",
)
@click.option("--http2", is_flag=True, help="Use HTTP/2; over https alone.")
@click.option("--poisson", "seed", type=int, help="Send at random intervals, as independent users do, with this seed.")
@click.option(
    "--new",
    "fresh",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="The share of requests over new connections.",
)
@click.option("--insecure", is_flag=True, help="Accept any certificate. Otherwise it must be ENV's own or a CA's.")
@click.option("--report", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write an HTML page there.")
@output_option
@pass_tool
def load(
    tool: Tool, /, env: str, profile: str, folder: Path | None, fmt: Format, **options: Unpack[LoadOptions]
) -> int:
    """Send requests to ENV at a fixed rate, whatever it answers (open model), and check its objectives."""
    from samovar.deploy.read_status import read_status
    from samovar.load.report import write_page
    from samovar.project.load_profile import load_profile

    tool.name_project()
    environment, session = tool.open(env)
    stated = load_profile(tool.project.loads, profile)
    run, report = _send(
        environment, planned(session, environment, read_status(session, environment), profile=stated, **options)
    )
    if folder:
        stderr_reporter().info(f"report: {write_page(report, run.outcomes, folder)}")
    show(report, fmt, _tables(report))
    return ExitCode.OK if report.slo_met else ExitCode.SLO_VIOLATED


def planned(
    session: Session,
    environment: Environment,
    status: Status,
    *,
    profile: LoadProfile,
    **options: Unpack[LoadOptions],
) -> Load:
    """Return the load to send. Raises ConfigError for an address that is not ENV's own, or for too many requests."""
    from samovar.deploy.endpoints import check_endpoints
    from samovar.load.generator import Load
    from samovar.load.target import own_addresses, path_of, targets

    http2 = options.get("http2", False)
    addresses = own_addresses(check_endpoints(session, status), options["urls"], secure_only=http2)
    profile = profile.with_path(path_of(addresses))
    rate, seconds = options["rate"] or profile.rate, options["seconds"]
    _check_size(rate, seconds)
    to = targets(session, environment, addresses, insecure=options["insecure"])
    return Load(
        profile,
        to,
        rate,
        seconds,
        fresh=options.get("fresh", Load.fresh),
        http2=http2,
        seed=options.get("seed"),
    )


def _check_size(rate: float, seconds: float) -> None:
    if rate * seconds > MAX_REQUESTS:
        raise ConfigError(
            f"{rate:g} requests a second for {seconds:g} s are more than {MAX_REQUESTS}",
            remedy="lower --rate, or shorten --for",
        )


def _send(environment: Environment, planned: Load) -> tuple[Run, LoadReport]:
    import asyncio

    from samovar.load.report import report, send_with_progress

    output = stderr_reporter()
    with output.step(f"{planned.rate:g} requests a second to {environment.name} for {planned.seconds:g} s"):
        run = asyncio.run(send_with_progress(planned, output))
    result = report(environment.name, planned, run)
    for warning in result.warnings:
        output.info(f"warning: {warning}")
    return run, result


def _tables(report: LoadReport) -> list[RenderableType]:
    columns = ("ENDPOINT", "SENT", "OK", "P50", "P90", "P99", "MAX", "SLO", "MET", "ERRORS")
    return [table(columns, map(_row, report.endpoints))]


def _row(figures: Figures) -> tuple[str, ...]:
    return (
        figures.endpoint,
        str(figures.sent),
        str(figures.ok),
        *map(_ms, (figures.p50_seconds, figures.p90_seconds, figures.p99_seconds)),
        _ms(figures.max_seconds),
        _objective(figures),
        {True: "yes", False: "no", None: "not judged"}[figures.slo_met],
        ", ".join(f"{count} {reason}" for reason, count in figures.errors.items()),
    )


def _objective(figures: Figures) -> str:
    slo = figures.slo
    errors = f"errors {figures.error_rate:.2%} of {slo.errors:.0%}"
    if slo.quantile is None:
        return errors
    return f"p{slo.quantile * 100:g} {_ms(slo.measured_seconds)} of {_ms(slo.seconds)}, {errors}"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"
