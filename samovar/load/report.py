"""Reports a load: one line a second while it runs, then JSON, and an HTML page with plots that needs nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from typing_extensions import TypedDict

from samovar.core.output import Reporter
from samovar.load.generator import Load, Run, Work, send_load
from samovar.load.results import EndpointJson, Figures, Outcome, figures, lateness, quantile

RECENT = 5.0
"""Seconds that a line of progress summarises."""
LATE = 0.05
"""Seconds; a generator that is later than this measures itself."""
TEMPLATE = Path(__file__).parent / "page.html.j2"
WIDTH, HEIGHT = 900, 160
MAX_INTERVALS = 120
"""The intervals of a plot at most."""
PLOTTED_QUANTILES = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class LoadReport:
    """The report of a load that ran for `seconds`; `not_removed` are the requests of its cleanup that failed."""

    environment: str
    load: Load
    seconds: float
    outcomes: tuple[Outcome, ...]
    not_removed: tuple[str, ...] = ()

    @property
    def figures(self) -> tuple[Figures, ...]:
        """Return the figures of each endpoint, in the order of the profile."""
        return tuple(figures(endpoint, self.outcomes) for endpoint in self.load.profile.endpoints)

    @property
    def slo_met(self) -> bool:
        return all(endpoint.meets_slo() for endpoint in self.figures)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what makes the figures worth less."""
        late = lateness(self.outcomes)
        slow = f"the generator itself was up to {late:.3f} s late: its own delay is in the latencies"
        left = f"these requests of the cleanup failed: {', '.join(self.not_removed)}"
        return (*((slow,) if late > LATE else ()), *((left,) if self.not_removed else ()))

    def to_json(self) -> LoadJson:
        return {
            "environment": self.environment,
            "profile": self.load.profile.name,
            "addresses": [target.url for target in self.load.targets],
            "protocol": "HTTP/2" if self.load.http2 else "HTTP/1.1",
            "rate": self.load.rate,
            "arrivals": "even" if self.load.seed is None else "poisson",
            "new_connections": self.load.fresh,
            "seconds": round(self.seconds, 2),
            "requests": len(self.outcomes),
            "failed": sum(endpoint.failed for endpoint in self.figures),
            "generator_late_seconds": round(lateness(self.outcomes), 4),
            "not_removed": list(self.not_removed),
            "endpoints": [endpoint.to_json() for endpoint in self.figures],
            "slo_met": self.slo_met,
        }


class LoadJson(TypedDict):
    """The report of a load; `slo_met` if every endpoint meets its objective.

    `generator_late_seconds` is what the generator itself added to 99 of 100 latencies at most; `not_removed` are the
    requests of the cleanup that failed.
    """

    environment: str
    profile: str
    addresses: list[str]
    protocol: Literal["HTTP/1.1", "HTTP/2"]
    rate: float
    arrivals: Literal["even", "poisson"]
    new_connections: float
    seconds: float
    requests: int
    failed: int
    generator_late_seconds: float
    not_removed: list[str]
    endpoints: list[EndpointJson]
    slo_met: bool


def report(environment: str, load: Load, run: Run) -> LoadReport:
    """Return the report of a load that has ended."""
    not_removed = tuple(sorted(map(str, run.created)))
    return LoadReport(environment, load, run.ended, tuple(run.outcomes), not_removed)


async def send_with_progress(load: Load, reporter: Reporter, work: Work | None = None) -> Run:
    """Send the load to its end, or until `work` has ended, and show its progress."""
    run = Run()
    progress = asyncio.create_task(_show_progress(run, reporter))
    try:
        await send_load(load, run, work)
    finally:
        progress.cancel()
    return run


async def _show_progress(run: Run, reporter: Reporter) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(1.0)
        if run.began:
            reporter.progress(_progress_line(run, loop.time() - run.began))


def _progress_line(run: Run, now: float) -> str:
    """Return one line on the last seconds."""
    recent = [outcome for outcome in run.outcomes[-10_000:] if outcome.end > now - RECENT]
    latencies = sorted(outcome.seconds for outcome in recent if not outcome.failure)
    p90 = quantile(latencies, len(recent) - len(latencies), 0.9)
    failed = sum(1 for outcome in run.outcomes if outcome.failure)
    rate = len(recent) / min(RECENT, max(now, 1.0))
    shown = "-" if p90 is None else f"{p90 * 1000:.0f} ms"
    return f"{now:.0f} s: {len(run.outcomes)} answered, {failed} failed; lately {rate:.0f}/s, p90 {shown}"


@dataclass(frozen=True)
class Interval:
    """The requests that were due in one interval: how many, how many failed, and quantiles of seconds."""

    begin: float
    sent: int
    failed: int
    latencies: tuple[float | None, ...]


@dataclass(frozen=True)
class Plot:
    """The content of an SVG: `lines` are names with the points of a polyline, `top` is the value of its upper edge."""

    title: str
    top: str
    lines: Sequence[tuple[str, str]]


def write_page(report: LoadReport, folder: Path) -> Path:
    """Write the page into the folder, which is created if need be; returns its path."""
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - most commands show no page

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    text = environment.from_string(TEMPLATE.read_text()).render(
        report=report, figures=report.figures, plots=tuple(plots(report)), width=WIDTH, height=HEIGHT
    )
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"load-{report.environment}-{report.load.profile.name}.html"
    page.write_text(text)
    return page


def plots(report: LoadReport) -> Iterator[Plot]:
    """Yields the plots of all requests, then of each endpoint."""
    yield from _plots("all requests", report.outcomes, report.seconds)
    for endpoint in report.load.profile.endpoints:
        own = [outcome for outcome in report.outcomes if outcome.endpoint == endpoint.request]
        yield from _plots(endpoint.request, own, report.seconds)


def intervals(outcomes: Iterable[Outcome], seconds: float) -> list[Interval]:
    """Return the time of the load in equal intervals of a second or more; the last one is complete."""
    length = max(1.0, seconds / MAX_INTERVALS)
    parts: list[list[Outcome]] = [[] for _ in range(int(seconds / length) + 1)]
    for outcome in outcomes:
        parts[min(int(outcome.due / length), len(parts) - 1)].append(outcome)
    return [_interval(index * length, part) for index, part in enumerate(parts)]


def _interval(begin: float, part: Sequence[Outcome]) -> Interval:
    latencies = sorted(outcome.seconds for outcome in part if not outcome.failure)
    failed = len(part) - len(latencies)
    return Interval(begin, len(part), failed, tuple(quantile(latencies, failed, share) for share in PLOTTED_QUANTILES))


def _plots(name: str, outcomes: Sequence[Outcome], seconds: float) -> Iterator[Plot]:
    parts = intervals(outcomes, seconds)
    highest = max((value for part in parts for value in part.latencies if value is not None), default=0.0)
    latencies = [
        (f"p{share * 100:g}", _points([part.latencies[index] for part in parts], highest))
        for index, share in enumerate(PLOTTED_QUANTILES)
    ]
    yield Plot(f"{name}: latency", f"{highest * 1000:.0f} ms", latencies)
    most = max((part.sent for part in parts), default=0)
    counts = [
        ("sent", _points([float(part.sent) for part in parts], most)),
        ("failed", _points([float(part.failed) for part in parts], most)),
    ]
    yield Plot(f"{name}: requests", str(most), counts)


def _points(values: Sequence[float | None], highest: float) -> str:
    """Return the points of a polyline. It goes straight on over an interval without a value."""
    step, scale = WIDTH / max(1, len(values) - 1), HEIGHT / (highest or 1.0)
    drawn = ((index * step, HEIGHT - value * scale) for index, value in enumerate(values) if value is not None)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
