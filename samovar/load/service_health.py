"""When a service answers well again: not whether machines are there, but what its users see."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from samovar.load.generator import Run
from samovar.load.results import Outcome

SLOW = 1.0
"""Seconds; who waits longer has noticed."""


def trouble(outcomes: Iterable[Outcome], broke: float) -> float:
    """Seconds from the break until the end of the last request that failed or was slow; 0 where there is none."""
    ends = [outcome.end - broke for outcome in outcomes if outcome.end > broke and _noticed(outcome)]
    return max(ends, default=0.0)


def answers_well(run: Run, endpoints: Collection[str], now: float, last: float) -> bool:
    """Whether all of those endpoints' requests of the `last` seconds were answered swiftly, and nobody waits long."""
    recent = [outcome for outcome in run.outcomes if outcome.endpoint in endpoints and outcome.end > now - last]
    waiting = [due for endpoint, due in run.waiting.values() if endpoint in endpoints]
    return bool(recent) and not any(map(_noticed, recent)) and all(now - due <= SLOW for due in waiting)


def _noticed(outcome: Outcome) -> bool:
    return bool(outcome.failure) or outcome.seconds > SLOW
