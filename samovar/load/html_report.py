"""The report as one HTML page that needs nothing else: a table, and plots of latency and errors over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from samovar.load.report import Report
from samovar.load.results import Outcome, quantile

TEMPLATE = Path(__file__).parent / "page.html.j2"
WIDTH, HEIGHT = 900, 160
BARS = 120
"""At most so many moments are told apart in a plot."""
LINES = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Moment:
    """What was due from `begin` on, for a while: how many, how many failed, and quantiles of seconds."""

    begin: float
    sent: int
    failed: int
    latencies: tuple[float | None, ...]


@dataclass(frozen=True)
class Plot:
    """An SVG's content: `lines` are names with the points of a polyline, `top` what its upper edge stands for."""

    title: str
    top: str
    lines: Sequence[tuple[str, str]]


def write_page(report: Report, folder: Path) -> Path:
    """Writes it into the folder, which is made if need be; returns where."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - most commands show no page

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(TEMPLATE.read_text()).render(
        report=report, figures=report.figures, plots=tuple(plots(report)), width=WIDTH, height=HEIGHT
    )
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"load-{report.environment}-{report.load.profile.name}.html"
    page.write_text(text)
    return page


def plots(report: Report) -> Iterator[Plot]:
    """Of all requests, then of each endpoint."""
    yield from _plots("all requests", report.outcomes, report.seconds)
    for endpoint in report.load.profile.endpoints:
        own = [outcome for outcome in report.outcomes if outcome.endpoint == endpoint.name]
        yield from _plots(endpoint.name, own, report.seconds)


def moments(outcomes: Iterable[Outcome], seconds: float) -> list[Moment]:
    """The time of the load in equal parts of a second or more, the last one whole."""
    length = max(1.0, seconds / BARS)
    parts: list[list[Outcome]] = [[] for _ in range(int(seconds / length) + 1)]
    for outcome in outcomes:
        parts[min(int(outcome.due / length), len(parts) - 1)].append(outcome)
    return [_moment(place * length, part) for place, part in enumerate(parts)]


def _moment(begin: float, part: Sequence[Outcome]) -> Moment:
    swift = sorted(outcome.seconds for outcome in part if not outcome.failure)
    failed = len(part) - len(swift)
    return Moment(begin, len(part), failed, tuple(quantile(swift, failed, share) for share in LINES))


def _plots(name: str, outcomes: Sequence[Outcome], seconds: float) -> Iterator[Plot]:
    found = moments(outcomes, seconds)
    highest = max((value for moment in found for value in moment.latencies if value is not None), default=0.0)
    latencies = [
        (f"p{share * 100:g}", _points([moment.latencies[place] for moment in found], highest))
        for place, share in enumerate(LINES)
    ]
    yield Plot(f"{name}: latency", f"{highest * 1000:.0f} ms", latencies)
    most = max((moment.sent for moment in found), default=0)
    counts = [
        ("sent", _points([float(moment.sent) for moment in found], most)),
        ("failed", _points([float(moment.failed) for moment in found], most)),
    ]
    yield Plot(f"{name}: requests", str(most), counts)


def _points(values: Sequence[float | None], highest: float) -> str:
    """Where nothing was measured the line goes on straight."""
    step, scale = WIDTH / max(1, len(values) - 1), HEIGHT / (highest or 1.0)
    drawn = ((place * step, HEIGHT - value * scale) for place, value in enumerate(values) if value is not None)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
