"""Shows drills to people: a row of a table for each, and a page with one picture a drill."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from samovar.core.templates import load_page
from samovar.drills.alerts import DrillAlerts
from samovar.drills.report import DrillReport, NotRun, longest_stall
from samovar.drills.run import Drilled
from samovar.load.charts import HEIGHT, WIDTH, Mark, draw
from samovar.load.report import charts_of

TEMPLATE = Path(__file__).parent / "page.html.j2"
COLUMNS = ("drill", "verdict", "failed", "longest stall", "noticed", "whole", "answers well", "healed by", "alerts")


def row(report: DrillReport) -> tuple[str, ...]:
    """Return the cells of a drill's row, in the order of COLUMNS. Seconds count from the fault."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.failures.items())
    return (
        report.drill,
        report.verdict.value,
        f"{report.failed} of {report.requests}{f' ({kinds})' if kinds else ''}",
        f"{longest_stall(report):.1f} s",
        _seconds(report.seconds_to_detect, "by nobody"),
        _seconds(report.seconds_to_recover, "not at the end"),
        "not at the end" if report.seconds_to_answer is None else _seconds(report.seconds_to_answer or None, "always"),
        ", ".join(report.healed_by) or "nothing",
        alerts_cell(report.alerts),
    )


def alerts_cell(alerts: DrillAlerts | None) -> str:
    """Return the alerts of a drill, each with what is wrong about it."""
    if alerts is None:
        return "not known"
    remarks = {
        **dict.fromkeys(alerts.unexpected, "unexpected"),
        **dict.fromkeys(alerts.missing, "missing"),
        **dict.fromkeys(alerts.not_judged, "fired before"),
    }
    names = sorted({*alerts.fired, *remarks})
    return ", ".join(f"{name} ({remarks[name]})" if name in remarks else name for name in names) or "none"


def _seconds(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:.1f} s"


def write_report(environment: str, drilled: Sequence[Drilled], not_run: Sequence[NotRun], folder: Path) -> Path:
    """Write a page with the table and a picture of each drill, which is a file of its own as well; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for each in drilled:
        pictures.append(picture(each))
        (folder / f"drill-{environment}-{each.report.drill}.svg").write_text(pictures[-1])
    page = folder / f"drills-{environment}.html"
    shown = [(each.report, row(each.report), drawn) for each, drawn in zip(drilled, pictures, strict=True)]
    page.write_text(load_page(TEMPLATE).render(environment=environment, columns=COLUMNS, shown=shown, not_run=not_run))
    return page


def picture(drilled: Drilled) -> str:
    """Return the latency above the requests a second, with the moments of the fault marked, as SVG."""
    end = max((outcome.due for outcome in drilled.outcomes), default=1.0)
    name = f"{drilled.report.drill}, {drilled.report.verdict}"
    drawn = [draw(chart) for chart in charts_of(name, drilled.outcomes, end, marks(drilled))]
    size = f'viewBox="0 0 {WIDTH} {HEIGHT * len(drawn)}" xmlns="http://www.w3.org/2000/svg"'
    parts = [
        f'<svg x="0" y="{HEIGHT * index}" width="{WIDTH}" height="{HEIGHT}">{one}</svg>'
        for index, one in enumerate(drawn)
    ]
    return f"<svg {size}>{''.join(parts)}</svg>"


def marks(drilled: Drilled) -> tuple[Mark, ...]:
    """Return the moments of the fault, in seconds of the load."""
    report = drilled.report
    named = {
        "fault": 0.0,
        "noticed": report.seconds_to_detect,
        "put back": report.seconds_to_put_back,
        "whole": report.seconds_to_recover,
    }
    return tuple(Mark(name, drilled.began + after) for name, after in named.items() if after is not None)
