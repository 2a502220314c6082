"""The results of a load: its requests one by one, and the figures of each endpoint against its objective. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from typing_extensions import TypedDict

from samovar.project.load_profile import Endpoint

QUANTILES = (0.5, 0.9, 0.99)


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
class Figures:
    """The figures of one endpoint, in seconds.

    A quantile is None if fewer requests succeeded; `at_objective` is the quantile that the objective bounds; `max` is
    of all requests, failed or not.
    """

    endpoint: Endpoint
    sent: int
    errors: Mapping[str, int]
    quantiles: Mapping[float, float | None]
    at_objective: float | None
    max: float

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    @property
    def error_rate(self) -> float:
        """Return the share of the requests that failed."""
        return self.failed / self.sent if self.sent else 0.0

    def meets_slo(self, margin: float = 1.0) -> bool:
        """Return whether the objective is met, or with 0.5 half of it. Without a request it is not."""
        slo = self.endpoint.slo
        fast = slo.seconds is None or (self.at_objective is not None and self.at_objective <= slo.seconds * margin)
        return self.sent > 0 and fast and self.error_rate <= slo.errors * margin

    def to_json(self) -> EndpointJson:
        at, slo = self.quantiles, self.endpoint.slo
        return {
            "endpoint": self.endpoint.request,
            "sent": self.sent,
            "ok": self.sent - self.failed,
            "errors": dict(self.errors),
            "p50_seconds": _rounded(at[0.5]),
            "p90_seconds": _rounded(at[0.9]),
            "p99_seconds": _rounded(at[0.99]),
            "max_seconds": round(self.max, 4),
            "slo": {
                "errors": slo.errors,
                "quantile": slo.quantile,
                "seconds": slo.seconds,
                "measured_seconds": _rounded(self.at_objective),
            },
            "slo_met": self.meets_slo(),
        }


class ObjectiveJson(TypedDict):
    """The share of `errors` and, if latency is bound, the `seconds` in which `quantile` of all are answered."""

    errors: float
    quantile: float | None
    seconds: float | None
    measured_seconds: float | None


class EndpointJson(TypedDict):
    """The figures of one endpoint; a quantile is null if fewer requests succeeded. `errors` counts by kind."""

    endpoint: str
    sent: int
    ok: int
    errors: dict[str, int]
    p50_seconds: float | None
    p90_seconds: float | None
    p99_seconds: float | None
    max_seconds: float
    slo: ObjectiveJson
    slo_met: bool


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
    at = endpoint.slo.quantile
    return Figures(
        endpoint,
        len(own),
        errors,
        {share: quantile(latencies, errors.total(), share) for share in QUANTILES},
        None if at is None else quantile(latencies, errors.total(), at),
        max((outcome.seconds for outcome in own), default=0.0),
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


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
