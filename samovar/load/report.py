"""Reports a load: one line a second while it runs, then JSON, and an HTML page with charts that needs nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import computed_field

from samovar.core.output import Reporter
from samovar.core.templates import load_page
from samovar.load.charts import Chart, Line, Mark, draw
from samovar.load.generator import Load, Run, Work, send_load
from samovar.load.results import QUANTILES, Figures, Outcome, Seconds, figures, lateness, quantile

RECENT = 5.0
"""Seconds that a line of progress summarises."""
LATE = 0.05
"""Seconds; a generator that is later than this measures itself."""
TEMPLATE = Path(__file__).parent / "page.html.j2"
MAX_INTERVALS = 120
"""The intervals of a plot at most."""
COLOURS = ("#2f6fab", "#d08030", "#b03030")


@dataclass(frozen=True)
class LoadReport:
    """The report of a load; `slo_met` if every endpoint that was asked meets its objective, and one was asked.

    `generator_late_seconds` is what the generator itself added to 99 of 100 latencies at most; `not_removed` are the
    requests of the cleanup that failed.
    """

    environment: str
    profile: str
    addresses: tuple[str, ...]
    protocol: Literal["HTTP/1.1", "HTTP/2"]
    rate: float
    arrivals: Literal["even", "poisson"]
    new_connections: float
    seconds: float
    requests: int
    failed: int
    generator_late_seconds: Seconds
    not_removed: tuple[str, ...]
    endpoints: tuple[Figures, ...]

    @computed_field  # type: ignore[prop-decorator] # as pydantic's documentation has it
    @property
    def slo_met(self) -> bool:
        judged = [endpoint.slo_met for endpoint in self.endpoints if endpoint.slo_met is not None]
        return bool(judged) and all(judged)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what makes the figures worth less."""
        late = self.generator_late_seconds
        slow = f"the generator itself was up to {late:.3f} s late: its own delay is in the latencies"
        left = f"these requests of the cleanup failed: {', '.join(self.not_removed)}"
        return (*((slow,) if late > LATE else ()), *((left,) if self.not_removed else ()))


def report(environment: str, load: Load, run: Run) -> LoadReport:
    """Return the report of a load that has ended."""
    endpoints = tuple(figures(endpoint, run.outcomes) for endpoint in load.profile.endpoints)
    return LoadReport(
        environment=environment,
        profile=load.profile.name,
        addresses=tuple(target.url for target in load.targets),
        protocol="HTTP/2" if load.http2 else "HTTP/1.1",
        rate=load.rate,
        arrivals="even" if load.seed is None else "poisson",
        new_connections=load.fresh,
        seconds=round(run.ended, 2),
        requests=len(run.outcomes),
        failed=sum(endpoint.failed for endpoint in endpoints),
        generator_late_seconds=lateness(run.outcomes),
        not_removed=tuple(sorted(map(str, run.created))),
        endpoints=endpoints,
    )


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
    """The requests that were due in one interval of `length` seconds: how many, how many failed, and quantiles."""

    begin: float
    length: float
    sent: int
    failed: int
    latencies: tuple[float | None, ...]


def write_page(report: LoadReport, outcomes: Sequence[Outcome], folder: Path) -> Path:
    """Write the page into the folder, which is created if need be; returns its path."""
    drawn = tuple(map(draw, charts(report, outcomes)))
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"load-{report.environment}-{report.profile}.html"
    page.write_text(load_page(TEMPLATE).render(report=report, charts=drawn))
    return page


def charts(report: LoadReport, outcomes: Sequence[Outcome]) -> Iterator[Chart]:
    """Yield the charts of all requests, then of each endpoint that was asked."""
    yield from charts_of("all requests", outcomes, report.seconds)
    for endpoint in report.endpoints:
        own = [outcome for outcome in outcomes if outcome.endpoint == endpoint.endpoint]
        if own:
            yield from charts_of(endpoint.endpoint, own, report.seconds)


def charts_of(name: str, outcomes: Sequence[Outcome], seconds: float, marks: Sequence[Mark] = ()) -> Iterator[Chart]:
    """Yield two charts: the latency, and the requests a second with those that failed."""
    parts = intervals(outcomes, seconds)
    latencies = tuple(
        Line(f"p{share * 100:g}", colour, [(part.begin, _ms(part.latencies[index])) for part in parts])
        for index, (share, colour) in enumerate(zip(QUANTILES, COLOURS, strict=True))
    )
    yield Chart(f"{name}: latency", "milliseconds", latencies, marks)
    sent = Line("sent", COLOURS[0], [(part.begin, part.sent / part.length) for part in parts])
    failed = Line("failed", COLOURS[2], [(part.begin, part.failed / part.length) for part in parts])
    yield Chart(f"{name}: requests", "requests/s", (sent, failed), marks)


def intervals(outcomes: Iterable[Outcome], seconds: float) -> list[Interval]:
    """Return the time of the load in equal intervals of a second or more. What fills none at the end is left out.

    A load shorter than an interval is one of its own length.
    """
    length = min(max(1.0, seconds / MAX_INTERVALS), seconds or 1.0)
    parts: list[list[Outcome]] = [[] for _ in range(max(1, int(round(seconds / length, 6))))]
    for outcome in outcomes:
        index = int(outcome.due / length)
        if index < len(parts):
            parts[index].append(outcome)
    return [_interval(index * length, length, part) for index, part in enumerate(parts)]


def _interval(begin: float, length: float, part: Sequence[Outcome]) -> Interval:
    latencies = sorted(outcome.seconds for outcome in part if not outcome.failure)
    failed = len(part) - len(latencies)
    quantiles = tuple(quantile(latencies, failed, share) for share in QUANTILES)
    return Interval(begin, length, len(part), failed, quantiles)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
