"""The command `drill`: it breaks an environment on purpose, under load, and judges its recovery."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeVar, Unpack

import rich_click as click

from samovar.cli.confirm import agree, agree_by_name
from samovar.cli.context import Tool, pass_tool
from samovar.cli.drill_tables import show_catalogue, show_report, show_reports
from samovar.cli.load import ProfileName, planned
from samovar.cli.options import Duration, environment_argument, examples, output_option, yes_option
from samovar.core.cloud_kind import CloudKind
from samovar.core.constants import MAX_RATE
from samovar.core.errors import ExitCode, SamovarError
from samovar.core.output import Format, stderr_reporter

if TYPE_CHECKING:
    from samovar.cloud.session import Session
    from samovar.drills.journal import Journal
    from samovar.drills.report import NotRun
    from samovar.drills.run import Drilled
    from samovar.project.drill import Drill
    from samovar.project.environment import Environment

F = TypeVar("F", bound=Callable[..., object])


class LoadOptions(TypedDict):
    """The options that say how a drill is run."""

    profile: str | None
    rate: float | None
    timeout: float | None
    urls: Sequence[str]
    insecure: bool


class DrillOptions(LoadOptions):
    """The options of the command; what is not given is the drill's own."""

    listing: bool
    everything: bool
    restore: bool
    all_machines: bool
    unit: str | None
    times: int | None
    folder: Path | None
    confirm: str | None
    yes: bool
    fmt: Format


def drill_options(function: F) -> F:
    """Add the options of a drill. What is not given is the drill's own."""
    for option in reversed(
        (
            click.option("--all-machines", is_flag=True, help="Break all machines of the target's group at once."),
            click.option(
                "--unit", help="The unit that is broken, or whose new process shows the recovery (local cloud)."
            ),
            click.option("--times", type=click.IntRange(1, 20), help="How many times its request is sent at once."),
            click.option("--profile", type=ProfileName(), help="The load profile.  [default: the drill's, or stable]"),
            click.option(
                "--rate", type=click.FloatRange(0.1, MAX_RATE), help="Requests a second.  [default: the profile's]"
            ),
            click.option("--timeout", type=Duration(), help="When ENV must have recovered.  [default: the drill's]"),
            click.option("--url", "urls", multiple=True, help="One of ENV's own addresses.  [default: all, in turn]"),
            click.option("--insecure", is_flag=True, help="Accept any certificate."),
        )
    ):
        function = option(function)
    return function


@click.command(
    epilog=examples(
        "drill dev --list",
        "drill dev kill GROUP",
        "drill dev crash GROUP UNIT --all-machines",
        "drill dev front-freeze inner-drain --report /tmp/drills",
        "drill dev --restore",
    )
)
@environment_argument
@click.argument("words", nargs=-1, metavar="[NAME [ARGUMENT]...]...")
@click.option("--list", "listing", is_flag=True, help="List the drills, and say which of them ENV allows.")
@click.option("--all", "everything", is_flag=True, help="Run every drill that ENV allows and that takes no arguments.")
@click.option("--restore", is_flag=True, help="Put back what an interrupted drill has broken, and do nothing else.")
@drill_options
@click.option("--report", "folder", type=click.Path(file_okay=False, path_type=Path), help="Write pictures there.")
@click.option("--confirm", metavar="ENV", help="The name of an environment with `production: true`.")
@yes_option
@output_option
@pass_tool
def drill(tool: Tool, /, env: str, words: tuple[str, ...], **options: Unpack[DrillOptions]) -> int:
    """Break ENV on purpose, under load, and judge its recovery: held, degraded or broke.

    NAME is a drill, a file of drills/ or of the library; several are run one after another. What a drill broke is put
    back, whatever ends it.
    """
    from samovar.drills.catalogue import catalogue, runnable
    from samovar.drills.journal import Journal

    named = tuple(_chosen(tool.project.drills, words))
    environment = tool.environment(env)
    if options["listing"]:
        show_catalogue(catalogue(environment, local=_is_local(environment)), options["fmt"])
        return ExitCode.OK
    chosen = runnable(environment, local=_is_local(environment)) if options["everything"] else named
    drills = [_changed(each, options) for each in chosen]
    if not drills and not options["restore"]:
        raise click.UsageError("name a drill, or give --all; --list shows them")
    tool.name_project()
    session = tool.session_of(environment)
    journal = Journal(session.folder_id, environment.name)
    with journal.locked():
        _restore(session, journal)
        if options["restore"]:
            return ExitCode.OK
        _agree(environment, drills, options)
        done = _Run(session, environment, journal, options)
        return done.one(drills[0]) if len(drills) == 1 and words else done.all(drills)


def _chosen(folder: Path, words: Sequence[str]) -> Iterator[Drill]:
    """Yield the drills that the words name, each followed by its arguments."""
    from samovar.project.drill import drill_names, load_drill

    left = list(words)
    while left:
        name = left.pop(0)
        if name not in (names := drill_names(folder)):
            raise click.UsageError(f"no drill {name}; there are {', '.join(names)}")
        stated = load_drill(folder, name)
        arguments, left = left[: len(stated.arguments)], left[len(stated.arguments) :]
        if len(arguments) < len(stated.arguments):
            expected = " ".join(argument.upper() for argument in stated.arguments)
            raise click.UsageError(f"{name} takes {expected}: {stated.description}")
        yield stated.with_arguments(arguments)


def _changed(drill: Drill, options: DrillOptions) -> Drill:
    changed = drill.with_overrides(unit=options["unit"], times=options["times"])
    return changed.model_copy(update={"all_machines": True}) if options["all_machines"] else changed


def _agree(environment: Environment, drills: Sequence[Drill], options: DrillOptions) -> None:
    question = f"{', '.join(each.name for each in drills)} of {environment.name}?"
    if environment.production:
        agree_by_name(question, environment.name, options["confirm"], yes=options["yes"])
    else:
        agree(question, yes=options["yes"])


def _restore(session: Session, journal: Journal) -> None:
    from samovar.drills.actions import restore_all

    for breakage in restore_all(session, journal):
        stderr_reporter().info(f"{breakage.name}: put back ({breakage.fault}), which an interrupted drill had broken")


class _Run:
    """Runs drills of one environment, one after another."""

    def __init__(self, session: Session, environment: Environment, journal: Journal, options: DrillOptions) -> None:
        self._session = session
        self._environment = environment
        self._journal = journal
        self._options = options
        self._drilled: list[Drilled] = []
        self._not_run: list[NotRun] = []

    def one(self, drill: Drill) -> int:
        """Run one drill and show its report."""
        self._run(drill)
        report = self._drilled[0].report
        show_report(report, self._options["fmt"])
        return self._exit_code()

    def all(self, drills: Sequence[Drill]) -> int:
        """Run the drills and show a table; one that cannot be run does not keep the others from it."""
        from samovar.drills.report import DrillReports, NotRun

        for drill in drills:
            try:
                self._run(drill)
            except SamovarError as error:
                stderr_reporter().info(f"{drill.name} was not run: {error.message}")
                self._not_run.append(NotRun(drill.name, error.message))
        reports = tuple(each.report for each in self._drilled)
        result = DrillReports(self._environment.name, reports, tuple(self._not_run))
        show_reports(result, self._options["fmt"])
        return self._exit_code()

    def _run(self, drill: Drill) -> None:
        from samovar.drills.pictures import write_report

        self._drilled.append(_run_one(self._session, self._environment, self._journal, drill, self._options))
        if folder := self._options["folder"]:
            page = write_report(self._environment.name, self._drilled, self._not_run, folder)
            stderr_reporter().info(f"report: {page}")

    def _exit_code(self) -> int:
        from samovar.drills.report import Verdict

        broke = any(each.report.verdict is Verdict.BROKE for each in self._drilled)
        return ExitCode.SLO_VIOLATED if broke else ExitCode.OK


def _run_one(
    session: Session, environment: Environment, journal: Journal, drill: Drill, options: LoadOptions
) -> Drilled:
    from samovar.deploy.read_status import read_status
    from samovar.drills.faults import fault_of
    from samovar.drills.run import MAX_SECONDS, prove_steady, run_drill
    from samovar.project.load_profile import load_profile

    prove_steady(session, environment)
    status = read_status(session, environment)
    load = planned(
        session,
        environment,
        status,
        profile=load_profile(environment.project.loads, options["profile"] or drill.load.profile),
        rate=options["rate"] or drill.load.rate,
        seconds=MAX_SECONDS,
        urls=options["urls"],
        insecure=options["insecure"],
    )
    fault = fault_of(drill, session, environment, status, load.targets[0])
    limited = drill.model_copy(update={"timeout": options["timeout"] or drill.timeout})
    return run_drill(session, environment, load, limited, fault, journal, stderr_reporter())


def _is_local(environment: Environment) -> bool:
    return environment.cloud is CloudKind.LOCAL
