"""How a load stands while it runs, told each second."""

from __future__ import annotations

import asyncio

from samovar.core.output import Reporter
from samovar.load.generator import Load, Run, Watch, send_load
from samovar.load.results import quantile

LAST = 5.0
"""Seconds that a line tells of."""


async def send_and_tell(load: Load, reporter: Reporter, work: Watch | None = None) -> Run:
    """Sends the load to its end, or until `work` has ended."""
    run = Run()
    telling = asyncio.create_task(_tell(run, reporter))
    try:
        await send_load(load, run, work)
    finally:
        telling.cancel()
    return run


async def _tell(run: Run, reporter: Reporter) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(1.0)
        if run.began:
            reporter.progress(line(run, loop.time() - run.began))


def line(run: Run, now: float) -> str:
    """One line on the last seconds."""
    last = [outcome for outcome in run.outcomes[-10_000:] if outcome.end > now - LAST]
    swift = sorted(outcome.seconds for outcome in last if not outcome.failure)
    p90 = quantile(swift, len(last) - len(swift), 0.9)
    failed = sum(1 for outcome in run.outcomes if outcome.failure)
    pace = len(last) / min(LAST, max(now, 1.0))
    shown = "-" if p90 is None else f"{p90 * 1000:.0f} ms"
    return f"{now:.0f} s: {len(run.outcomes)} answered, {failed} failed; lately {pace:.0f}/s, p90 {shown}"
