"""Shows drills and what they measured: the catalogue, one report in words, several as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from samovar.core.output import Format, show, table

if TYPE_CHECKING:
    from samovar.drills.catalogue import Catalogue
    from samovar.drills.report import DrillReport, DrillReports


def show_catalogue(listed: Catalogue, fmt: Format) -> None:
    """Show the drills, and where each can be run."""
    rows = [
        (
            " ".join((entry.drill, *(argument.upper() for argument in entry.arguments))),
            entry.not_here or ("local cloud" if entry.local_only else "any cloud"),
            entry.description,
        )
        for entry in listed.drills
    ]
    show(listed, fmt, [table(("DRILL", "WHERE", "WHAT IT DOES"), rows)])


def show_reports(result: DrillReports, fmt: Format) -> None:
    """Show a row for each drill, and why the others were not run."""
    from samovar.drills.pictures import COLUMNS, row

    skipped = [(each.drill, each.reason) for each in result.not_run]
    tables = [table(tuple(map(str.upper, COLUMNS)), map(row, result.drills))]
    show(result, fmt, [*tables, *([table(("NOT RUN", "WHY"), skipped)] if skipped else [])])


def show_report(report: DrillReport, fmt: Format) -> None:
    """Show all figures of one drill, a line for each."""
    from samovar.drills.pictures import alerts_cell

    rows = [
        ("verdict", report.verdict.value),
        ("fault", report.fault),
        ("detected after", _seconds(report.seconds_to_detect, "not at all")),
        ("recovered after", _seconds(report.seconds_to_recover, "not before the end")),
        ("healed by", ", ".join(report.healed_by) or "nothing"),
        ("answers well after", _seconds(report.seconds_to_answer, "not before the end")),
        ("requests", f"{report.requests} at {report.rate:g} a second to {', '.join(report.addresses)}"),
        ("failed", f"{report.failed}{_by_kind(report.failures)}"),
        ("  in flight", str(report.failed_in_flight)),
        ("  before detection", str(report.failed_before_detection)),
        ("  after detection", str(report.failed_after_detection)),
        ("slowest answer", f"{report.max_seconds} s"),
        ("longest gap", f"{report.longest_gap_seconds} s"),
        ("alerts", alerts_cell(report.alerts)),
        *(("not as expected", violation) for violation in report.violations),
    ]
    show(report, fmt, [table(("", ""), rows)])


def _by_kind(failures: Mapping[str, int]) -> str:
    kinds = ", ".join(f"{count} {name}" for name, count in failures.items())
    return f" ({kinds})" if kinds else ""


def _seconds(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value} s"
