"""The command `doctor`: it finds what would make a rollout fail."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import rich_click as click

from samovar.cli.context import Tool, pass_tool
from samovar.cli.options import cloud_option, complete_environment, output_option
from samovar.core.cloud_kind import CloudKind
from samovar.core.errors import ExitCode
from samovar.core.output import Format, show, table

if TYPE_CHECKING:
    from samovar.ops.doctor.finding import Finding

CREDENTIALS = "credentials"


@click.command()
@click.argument("env", metavar="[ENV]", required=False, shell_complete=complete_environment)
@cloud_option
@output_option
@pass_tool
def doctor(tool: Tool, env: str | None, cloud: str | None, fmt: Format) -> int:
    """Check the programs, disk space, the endpoint, the credentials, the folder and its roles.

    With ENV also its zones, images and quotas, with the exact increase to request. The exit code is 8 where a check
    fails.
    """
    from samovar.cloud.connect import connect_running
    from samovar.ops.doctor.checks import examine
    from samovar.ops.doctor.finding import Report

    environment = tool.environment(env) if env else None
    chosen = cloud or (environment.cloud if environment else CloudKind.LOCAL)
    connect = partial(connect_running, chosen, tool.home, tool.token)
    credentials = _credentials(tool) if chosen != CloudKind.LOCAL else []
    home = tool.home if chosen == CloudKind.LOCAL else None
    report = Report((*credentials, *examine(connect, tool.project, environment, home)))
    rows = [(each.area, each.state.value, each.message, each.remedy) for each in report.findings]
    show(report, fmt, [table(("AREA", "STATE", "FINDING", "REMEDY"), rows)])
    return ExitCode.OK if report.healthy else ExitCode.UNHEALTHY


def _credentials(tool: Tool) -> list[Finding]:
    """Each place of credentials, in the order of the search."""
    from samovar.cloud.connect import credential_places
    from samovar.core.errors import SamovarError
    from samovar.ops.doctor.finding import failed, ok

    try:
        tried = credential_places(tool.token)
    except SamovarError as error:
        return [failed(CREDENTIALS, error)]
    return [ok(CREDENTIALS, f"{place.name}: {place.outcome}{' (used)' if place.used else ''}") for place in tried]
