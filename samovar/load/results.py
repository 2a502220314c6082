"""The results of a load: its requests one by one, and the figures of each endpoint against its objective. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated

from pydantic import PlainSerializer, computed_field

from samovar.project.load_profile import Endpoint

QUANTILES = (0.5, 0.9, 0.99)
Seconds = Annotated[float, PlainSerializer(lambda value: round(value, 4), return_type=float)]
"""Seconds, shown to a tenth of a millisecond."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request; times in seconds.

    `due` is when it had to leave, from the start of the load; `late` how much later it left; `seconds` what it took
    from when it was due; `failure` why it failed, empty if it did not.
    """

    endpoint: str
    due: float
    late: float
    seconds: float
    failure: str = ""

    @property
    def end(self) -> float:
        return self.due + self.seconds


@dataclass(frozen=True)
class MeasuredObjective:
    """The objective of an endpoint, and what was measured: the seconds in which `quantile` of all were answered."""

    errors: float
    quantile: float | None
    seconds: float | None
    measured_seconds: Seconds | None


@dataclass(frozen=True)
class Figures:
    """The figures of one endpoint. A quantile is null if fewer requests succeeded; `errors` counts failures by kind.

    `max_seconds` is of all requests, failed or not.
    """

    endpoint: str
    sent: int
    ok: int
    errors: dict[str, int]
    p50_seconds: Seconds | None
    p90_seconds: Seconds | None
    p99_seconds: Seconds | None
    max_seconds: Seconds
    slo: MeasuredObjective

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    @property
    def error_rate(self) -> float:
        """Return the share of the requests that failed."""
        return self.failed / self.sent if self.sent else 0.0

    @computed_field  # type: ignore[prop-decorator] # as pydantic's documentation has it
    @property
    def slo_met(self) -> bool | None:
        """Return whether the objective is met: None, not judged, if nothing was sent."""
        return self.meets_slo() if self.sent else None

    def meets_slo(self, margin: float = 1.0) -> bool:
        """Return whether the objective is met, or with 0.5 half of it. Without a request it is not."""
        slo = self.slo
        measured = slo.measured_seconds
        fast = slo.seconds is None or (measured is not None and measured <= slo.seconds * margin)
        return self.sent > 0 and fast and self.error_rate <= slo.errors * margin


def quantile(succeeded: Sequence[float], failed: int, share: float) -> float | None:
    """Return the least latency that `share` of all requests kept. `succeeded` is sorted.

    A failed request counts as slower than any answered one: None if the quantile falls among them, or there are none.
    """
    rank = max(1, ceil(round(share * (len(succeeded) + failed), 9)))
    return succeeded[rank - 1] if rank <= len(succeeded) else None


def figures(endpoint: Endpoint, outcomes: Iterable[Outcome]) -> Figures:
    """Return the figures of the endpoint's own outcomes."""
    own = [outcome for outcome in outcomes if outcome.endpoint == endpoint.request]
    errors = Counter(outcome.failure for outcome in own if outcome.failure)
    latencies = sorted(outcome.seconds for outcome in own if not outcome.failure)
    slo = endpoint.slo
    measured = None if slo.quantile is None else quantile(latencies, errors.total(), slo.quantile)
    p50, p90, p99 = (quantile(latencies, errors.total(), share) for share in QUANTILES)
    return Figures(
        endpoint=endpoint.request,
        sent=len(own),
        ok=len(latencies),
        errors=dict(errors),
        p50_seconds=p50,
        p90_seconds=p90,
        p99_seconds=p99,
        max_seconds=max((outcome.seconds for outcome in own), default=0.0),
        slo=MeasuredObjective(slo.errors, slo.quantile, slo.seconds, measured),
    )


def lateness(outcomes: Iterable[Outcome]) -> float:
    """Return the seconds that the generator itself added to 99 of 100 latencies at most."""
    return quantile(sorted(outcome.late for outcome in outcomes), 0, 0.99) or 0.0


def longest_gap(outcomes: Iterable[Outcome], end: float) -> float:
    """Return the longest time in seconds, from the start to `end`, without a successful answer."""
    moments = sorted(outcome.end for outcome in outcomes if not outcome.failure)
    return max(
        after - before for before, after in zip([0.0, *moments], [*moments, max(end, *moments, 0.0)], strict=True)
    )
