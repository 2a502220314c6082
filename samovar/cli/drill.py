"""`drill`: breaking an environment on purpose, under load, and measuring how it mends itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

from samovar.cli.context import Tool, agree, environment_argument, output_option, pass_tool, yes_option
from samovar.cli.load import HIGHEST_RATE, PROFILES, planned
from samovar.core.output import Format, show, stderr_reporter, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from samovar.cloud.session import Session
    from samovar.deploy.status import Status
    from samovar.drills.faults import Break
    from samovar.drills.run import DrillJson
    from samovar.load.client import Target
    from samovar.project.environment import Environment

TIMEOUT = 120.0
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Place:
    """What a drill is about to break."""

    environment: Environment
    session: Session
    status: Status
    targets: tuple[Target, ...]


@click.group()
@environment_argument
def drill(env: str) -> None:
    """Break ENV on purpose, under load, and measure how it mends itself.

    TARGET is a group (its first machine is broken) or a machine, such as nginx-2.
    """


def drill_options(function: F) -> F:
    """What all of them take."""
    for option in reversed(
        (
            click.option(
                "--profile", type=click.Choice(PROFILES), default="stable", show_default=True, help="The load."
            ),
            click.option("--rate", type=click.FloatRange(0.1, HIGHEST_RATE), help="  [default: the profile's]"),
            click.option("--timeout", default=TIMEOUT, show_default=True, help="Seconds until ENV must be whole."),
            click.option("--url", "urls", multiple=True, help="One of ENV's own addresses.  [default: all, in turn]"),
            click.option("--insecure", is_flag=True, help="Take any certificate."),
            yes_option,
            output_option,
            click.pass_context,
            pass_tool,
        )
    ):
        function = option(function)
    return function


all_option = click.option("--all", "all_of_it", is_flag=True, help="Break all machines of the group at once.")


@drill.command()
@click.argument("target")
@all_option
@drill_options
def kill(tool: Tool, context: click.Context, /, target: str, *, all_of_it: bool, **asked: Any) -> None:
    """Cut the power of TARGET."""
    from samovar.drills.faults import chosen, power_cut

    def broken(place: Place) -> Break:
        machines = chosen(place.status, target, all_of_it=all_of_it)
        return power_cut(place.session, place.environment, machines)

    _drill(tool, context, broken, **asked)


@drill.command()
@click.argument("target")
@all_option
@drill_options
def stop(tool: Tool, context: click.Context, /, target: str, *, all_of_it: bool, **asked: Any) -> None:
    """Shut TARGET down, as an operator does; its group brings it back."""
    from samovar.drills.faults import chosen, graceful_stop

    def broken(place: Place) -> Break:
        machines = chosen(place.status, target, all_of_it=all_of_it)
        return graceful_stop(place.session, place.environment, machines)

    _drill(tool, context, broken, **asked)


@drill.command()
@click.argument("target")
@click.argument("unit")
@all_option
@drill_options
def crash(tool: Tool, context: click.Context, /, target: str, unit: str, *, all_of_it: bool, **asked: Any) -> None:
    """Kill the processes of UNIT (bingo.service) inside TARGET; on the local cloud alone."""
    from samovar.drills.faults import chosen
    from samovar.drills.faults import crash as crashed

    def broken(place: Place) -> Break:
        machines = chosen(place.status, target, all_of_it=all_of_it)
        return crashed(place.session, place.environment, machines, unit)

    _drill(tool, context, broken, **asked)


@drill.command()
@click.argument("group")
@click.argument("number", type=int)
@click.option("--times", type=click.IntRange(1, 20), default=1, show_default=True, help="How often, at once.")
@click.option("--unit", default="", help="The unit on GROUP's machines that is to be seen anew (local cloud).")
@drill_options
def operation(
    tool: Tool, context: click.Context, /, group: str, number: int, times: int, unit: str, **asked: Any
) -> None:
    """Make a bingo of GROUP fail by `POST /operation`, sent through the service.

    Which NUMBER does what is known of the stand-in alone: 1000001 exits, 1000002 dies with a word, 1000003 lives and
    answers 500, 1000004 grows until it is killed.
    """
    from samovar.drills.faults import chosen
    from samovar.drills.faults import operation as operated

    def broken(place: Place) -> Break:
        machines = chosen(place.status, group, all_of_it=True)
        return operated(place.targets[0], machines, number, times, unit)

    _drill(tool, context, broken, **asked)


def _drill(
    tool: Tool,
    context: click.Context,
    breaking: Callable[[Place], Break],
    *,
    timeout: float,
    fmt: Format,
    yes: bool,
    **asked: Any,
) -> None:
    from samovar.deploy.read_status import inspect
    from samovar.drills.run import LONGEST
    from samovar.drills.run import drill as run_drill

    assert context.parent  # noqa: S101 - it is a command of the group above
    tool.name_project()
    environment, session = tool.open(context.parent.params["env"])
    status = inspect(session, environment)
    load = planned(session, environment, status, seconds=LONGEST, **asked)
    broken = breaking(Place(environment, session, status, load.targets))
    agree(f"{context.info_name} {', '.join(broken.machines)} of {environment.name}?", yes=yes)
    found = run_drill(session, environment, load, broken, stderr_reporter(), timeout=timeout).to_json()
    show(found, fmt, _tables(found))


def _tables(found: DrillJson) -> list[RenderableType]:
    failures = ", ".join(f"{count} {name}" for name, count in found["failures"].items())
    rows = [
        ("broken", found["broken"]),
        ("noticed after", f"{found['seconds_until_noticed']} s"),
        ("whole after", f"{found['seconds_until_whole']} s"),
        ("answered well after", _seconds(found["seconds_until_answered"])),
        ("requests", f"{found['requests']} at {found['rate']:g} a second to {', '.join(found['addresses'])}"),
        ("failed", f"{found['failed']}{f' ({failures})' if failures else ''}"),
        ("  in flight", str(found["failed_in_flight"])),
        ("  until noticed", str(found["failed_until_noticed"])),
        ("  later", str(found["failed_later"])),
        ("slowest answer", f"{found['worst_seconds']} s"),
        ("longest gap", f"{found['longest_gap_seconds']} s"),
    ]
    return [table(("", ""), rows)]


def _seconds(value: float | None) -> str:
    return "not to the end" if value is None else f"{value} s"
