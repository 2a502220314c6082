"""The command `certify`: it runs a fixed programme in an empty folder, and compares that cloud with the local one."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from samovar import __version__
from samovar.cli.confirm import agree
from samovar.cli.context import Tool, pass_tool
from samovar.cli.options import Duration, examples, output_option, yes_option
from samovar.core.cloud_kind import CloudKind
from samovar.core.errors import ExitCode
from samovar.core.output import Format, show, stderr_reporter, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from samovar.certify.report import Report


@click.command(
    epilog=examples(
        "certify",
        "certify --yes --timeout 90m --report my-report",
        "--home DIR certify --cloud local --every 0.2s",
    )
)
@click.option(
    "--cloud",
    type=click.Choice([kind.value for kind in CloudKind]),
    default=CloudKind.YANDEX.value,
    show_default=True,
    help="The cloud to compare.",
)
@click.option("--timeout", type=Duration(), default="60m", show_default=True, help="The most time for the programme.")
@click.option("--every", type=Duration(), default="2s", show_default=True, help="How often all states are asked for.")
@click.option(
    "--report",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default="certify",
    show_default=True,
    help="Write certify.html and certify.json there.",
)
@yes_option
@output_option
@pass_tool
def certify(tool: Tool, cloud: str, timeout: float, every: float, folder: Path, fmt: Format, *, yes: bool) -> int:
    """Run a fixed programme in an empty folder, and compare that cloud with the local one.

    The programme needs no project and no root. It makes an image, rolls out two groups behind an external and an
    internal balancer, stops a machine, updates all, and deletes everything. First it says what is billed, and asks. All
    that it makes has the label env=samovar-certify, and is removed, also after Ctrl-C; what a killed run left, the next
    one removes. The report holds no id, no address and no secret.
    """
    from samovar.certify.comparison import read_reference
    from samovar.certify.report import report, write
    from samovar.certify.run import Bounds
    from samovar.certify.run import certify as run_programme

    output, session = stderr_reporter(), tool.session(cloud)
    output.info(_price(session.folder_id, timeout))
    agree("Run the programme, and pay for it?", yes=yes, irreversible=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run = run_programme(session, output, Bounds(timeout, every))
    reference, date = read_reference(), datetime.now(UTC).date().isoformat()
    result = report(run, reference, tool=__version__, date=date)
    for path in write(result, reference, folder):
        output.info(f"report: {path}")
    show(result, fmt, _tables(result))
    return ExitCode.OK if result.same else ExitCode.DIFFERENT


def _price(folder: str, timeout: float) -> str:
    from samovar.certify.cleanup import TIMEOUT
    from samovar.certify.environment import billed

    resources = ", ".join(f"{count} {words}" for words, count in billed())
    return (
        f"The programme makes in folder {folder}, at its peak: {resources}.\n"
        f"It ends after {timeout / 60:.0f} minutes at the latest; then everything is removed, for which it has "
        f"{TIMEOUT / 60:.0f} more.\nAll of it is billed by the hour; prices: https://yandex.cloud/en/docs/billing/"
    )


def _tables(report: Report) -> list[RenderableType]:
    steps = table(
        ("STEP", "ENDED", "SECONDS"), [(each.name, each.outcome, f"{each.seconds}") for each in report.run.steps]
    )
    rows = [(each.aspect.value, each.only, " / ".join(each.fact)) for each in report.differences]
    differences: list[RenderableType] = [table(("DIFFERENT", "ONLY", "WHAT"), rows)] if rows else []
    end = f"stopped in step {report.run.stopped}" if report.run.stopped else "the programme came to its end"
    return [
        steps,
        *differences,
        f"{end}; {len(rows) or 'no'} difference{'' if len(rows) == 1 else 's'} from the local cloud",
    ]
