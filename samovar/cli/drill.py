"""The command `drill`: it breaks an environment on purpose, under load, and measures its recovery."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

import rich_click as click

from samovar.cli.context import Tool, agree, environment_argument, output_option, pass_tool, yes_option
from samovar.cli.load import MAX_RATE, ProfileName, planned
from samovar.core.errors import ConfigError, ExitCode
from samovar.core.output import Format, show, stderr_reporter, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from samovar.drills.run import DrillReport
    from samovar.project.drill import Drill

F = TypeVar("F", bound=Callable[..., object])


class DrillOptions(TypedDict):
    """The options of every drill."""

    profile: str | None
    rate: float | None
    timeout: float | None
    urls: Sequence[str]
    insecure: bool
    yes: bool
    fmt: Format


class DrillGroup(click.RichGroup):
    """The drills: one command for each fault on a target of one's choice, and one for each file of drills/."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(dict.fromkeys((*super().list_commands(ctx), *_files(ctx))))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        if command is None and cmd_name in self.list_commands(ctx):
            return _file_command(cmd_name)
        return command


@click.group(cls=DrillGroup)
@environment_argument
def drill(env: str) -> None:
    """Break ENV on purpose, under load, and measure its recovery.

    TARGET is a group (its first machine is broken) or a machine, such as nginx-2.
    Each file of drills/ is a command as well.
    """


def drill_options(function: F) -> F:
    """Add the options of every drill. What is not given is the drill's own."""
    for option in reversed(
        (
            click.option("--profile", type=ProfileName(), help="The load profile.  [default: the drill's, or stable]"),
            click.option("--rate", type=click.FloatRange(0.1, MAX_RATE), help="  [default: the profile's]"),
            click.option("--timeout", type=float, help="Seconds in which ENV must recover.  [default: 120]"),
            click.option("--url", "urls", multiple=True, help="One of ENV's own addresses.  [default: all, in turn]"),
            click.option("--insecure", is_flag=True, help="Accept any certificate."),
            yes_option,
            output_option,
            click.pass_context,
            pass_tool,
        )
    ):
        function = option(function)
    return function


all_option = click.option("--all", "all_machines", is_flag=True, help="Break all machines of the group at once.")


@drill.command()
@click.argument("target")
@all_option
@drill_options
def kill(
    tool: Tool, context: click.Context, /, target: str, *, all_machines: bool, **options: Unpack[DrillOptions]
) -> int:
    """Cut the power of TARGET."""
    return _run(tool, context, _drill("kill", target=target, all_machines=all_machines), **options)


@drill.command()
@click.argument("target")
@all_option
@drill_options
def stop(
    tool: Tool, context: click.Context, /, target: str, *, all_machines: bool, **options: Unpack[DrillOptions]
) -> int:
    """Shut TARGET down, as an operator does; its group brings it back."""
    return _run(tool, context, _drill("stop", target=target, all_machines=all_machines), **options)


@drill.command()
@click.argument("target")
@click.argument("unit")
@all_option
@drill_options
def crash(
    tool: Tool,
    context: click.Context,
    /,
    target: str,
    unit: str,
    *,
    all_machines: bool,
    **options: Unpack[DrillOptions],
) -> int:
    """Kill the processes of UNIT (nginx.service) inside TARGET; on the local cloud alone."""
    return _run(tool, context, _drill("crash", target=target, unit=unit, all_machines=all_machines), **options)


def _drill(fault: str, *, target: str, all_machines: bool, unit: str = "") -> Drill:
    from samovar.project.drill import Drill

    stated = {"name": fault, "fault": fault, "target": target, "all_machines": all_machines, "unit": unit}
    return Drill.model_validate(stated)


def _files(context: click.Context) -> list[str]:
    """Return the names of the project's drills; none where there is no project."""
    tool = context.find_object(Tool)
    try:
        return sorted(path.stem for path in tool.project.drills.glob("*.yaml")) if tool else []
    except ConfigError:
        return []


def _file_command(name: str) -> click.Command:
    """Return the command that runs drills/NAME.yaml. The file is read when the command runs."""

    @click.command(name, help=f"Run drills/{name}.yaml.")
    @click.argument("arguments", nargs=-1, metavar="[ARGUMENT]...")
    @click.option("--times", type=click.IntRange(1, 20), help="How often a request is sent, at once.")
    @click.option("--unit", help="The unit whose new process shows the recovery (local cloud).")
    @drill_options
    def command(
        tool: Tool,
        context: click.Context,
        /,
        arguments: tuple[str, ...],
        *,
        times: int | None,
        unit: str | None,
        **options: Unpack[DrillOptions],
    ) -> int:
        from samovar.project.drill import load_drill

        stated = load_drill(tool.project.drills, name)
        if len(arguments) != len(stated.arguments):
            names = " ".join(argument.upper() for argument in stated.arguments) or "no arguments"
            raise click.UsageError(f"{name} takes {names}: {stated.description}", context)
        changed = stated.with_arguments(arguments).with_overrides(unit=unit, times=times)
        return _run(tool, context, changed, **options)

    return command


def _run(tool: Tool, context: click.Context, drill: Drill, **options: Unpack[DrillOptions]) -> int:
    from samovar.deploy.read_status import read_status
    from samovar.drills.faults import fault_of
    from samovar.drills.run import MAX_SECONDS, run_drill
    from samovar.project.load_profile import load_profile

    assert context.parent  # noqa: S101 - it is a command of the group above
    tool.name_project()
    environment, session = tool.open(context.parent.params["env"])
    status = read_status(session, environment)
    load = planned(
        session,
        environment,
        status,
        profile=load_profile(tool.project.loads, options["profile"] or drill.load.profile),
        rate=options["rate"] or drill.load.rate,
        seconds=MAX_SECONDS,
        urls=options["urls"],
        insecure=options["insecure"],
    )
    fault = fault_of(drill, session, environment, status, load.targets[0])
    agree(f"{drill.name} {', '.join(fault.machines)} of {environment.name}?", yes=options["yes"])
    seconds = options["timeout"] or drill.timeout
    report = run_drill(session, environment, load, fault, stderr_reporter(), timeout=seconds, expected=drill.expect)
    show(report, options["fmt"], _tables(report))
    return ExitCode.SLO_VIOLATED if report.violations else ExitCode.OK


def _tables(report: DrillReport) -> list[RenderableType]:
    rows = [
        ("fault", report.fault),
        ("detected after", f"{report.seconds_to_detect} s"),
        ("recovered after", f"{report.seconds_to_recover} s"),
        ("answers well after", _seconds(report.seconds_to_answer)),
        ("requests", f"{report.requests} at {report.rate:g} a second to {', '.join(report.addresses)}"),
        ("failed", f"{report.failed}{_by_kind(report.failures)}"),
        ("  in flight", str(report.failed_in_flight)),
        ("  before detection", str(report.failed_before_detection)),
        ("  after detection", str(report.failed_after_detection)),
        ("slowest answer", f"{report.max_seconds} s"),
        ("longest gap", f"{report.longest_gap_seconds} s"),
        *(("not as expected", violation) for violation in report.violations),
    ]
    return [table(("", ""), rows)]


def _by_kind(failures: Mapping[str, int]) -> str:
    kinds = ", ".join(f"{count} {name}" for name, count in failures.items())
    return f" ({kinds})" if kinds else ""


def _seconds(value: float | None) -> str:
    return "not before the end" if value is None else f"{value} s"
